"""A scripted chat endpoint on the loopback address, for the tests of what asks one."""

import http.server
import json
import threading


def chat(text, finish_reason="stop", usage=None, logprobs=None):
    """The body of a chat completion; `usage` is (prompt, completion) tokens, `logprobs` (token, its rivals) pairs."""
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
    if logprobs is not None:
        choice["logprobs"] = {
            "content": [
                {
                    "token": token,
                    "logprob": -0.1,
                    "top_logprobs": [{"token": t, "logprob": p} for t, p in rivals.items()],
                }
                for token, rivals in logprobs
            ]
        }
    body = {"choices": [choice]}
    if usage is not None:
        body["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
    return body


class Server:
    """Answers each request with what `script(number, body)` gives: (status, body, headers); None = hangs."""

    def __init__(self, script):
        self.requests = []
        self.paths = []
        self.headers = []
        self.released = threading.Event()
        outer = self
        lock = threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    number = len(outer.requests)
                    outer.requests.append(body)
                    outer.paths.append(self.path)
                    outer.headers.append(dict(self.headers))
                answer = script(number, body)
                if answer is None:
                    outer.released.wait(20)
                    return
                status, content, headers = (*answer, {})[:3]
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self):
        """Ends what hangs, then the server."""
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def always(*answer):
    """A script that answers every request alike."""
    return lambda number, body: answer
