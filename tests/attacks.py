"""Programs that attack their sandbox. One that succeeds prints GOT; what it does to the host is looked for outside.

`SECRET` stands for a file of the host that holds `hunter2` and everybody may write, `HOST` for the process that owns
the sandbox, `FOLDER` for the sandbox's own folder. A pair is two programs run one after the other: the second one looks
for what the first one left.
"""

from __future__ import annotations

TRY = "\nexcept BaseException as error:\n    print(type(error).__name__, error)\n"


def tried(code: str) -> str:
    """The code with whatever it raises caught: an attack that is refused ends quietly."""
    lines = "".join(f"    {line}\n" for line in code.strip().splitlines())
    return f"try:\n{lines}{TRY.lstrip(chr(10))}"


DEAF = """
import signal
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
"""  # how a program begins that ignores every signal it can
READ = {
    "a file of the host": "print('GOT' if 'hunter2' in open('SECRET').read() else '')",
    "a file through /proc/1/root": "print('GOT' if 'hunter2' in open('/proc/1/rootSECRET').read() else '')",
    "a file through a link": "import os\nos.symlink('SECRET', 'x')\nprint('GOT' if 'hunter2' in open('x').read() else '')",
    "a file through a hard link": "import os\nos.link('SECRET', 'x')\nprint('GOT' if 'hunter2' in open('x').read() else '')",
    "a file by a child": (
        "import subprocess\nprint('GOT' if 'hunter2' in subprocess.run(['cat', 'SECRET'], capture_output=True, text=True,"
        " env={'PATH': '/usr/bin:/bin'}).stdout else '')"
    ),
    "the shadow file": "print('GOT' if ':' in open('/etc/shadow').read() else '')",
    "home folders": "import os\nfound = [f for d in ('/home', '/root') for f in os.listdir(d)]\nprint('GOT' if found else '')",
    "the owner's environment": "print('GOT' if b'=' in open('/proc/HOST/environ', 'rb').read() else '')",
    "the owner's memory": "open('/proc/HOST/mem', 'rb').seek(4096)\nopen('/proc/HOST/maps').readline() and print('GOT')",
    "process 1's memory": "open('/proc/1/maps').readline() and print('GOT')",
    "process 1's environment": "print('GOT' if b'=' in open('/proc/1/environ', 'rb').read() else '')",
    "process 1's descriptors": "import os\nprint('GOT' if [os.readlink(f'/proc/1/fd/{n}') for n in os.listdir('/proc/1/fd')] else '')",
    "the disks": "print('GOT' if open('/dev/vda', 'rb').read(16) or open('/dev/sda', 'rb').read(16) else '')",
    "kernel memory": "print('GOT' if open('/dev/mem', 'rb').read(1) else '')",
    "the kernel's log": "print('GOT' if open('/dev/kmsg', 'rb').read(1) else '')",
    "memory by process_vm_readv": (
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nbuf = ctypes.create_string_buffer(8)\n"
        "class V(ctypes.Structure): _fields_ = [('b', ctypes.c_void_p), ('n', ctypes.c_size_t)]\n"
        "l, r = V(ctypes.addressof(buf), 8), V(id(0), 8)\n"
        "print('GOT' if libc.process_vm_readv(1, ctypes.byref(l), 1, ctypes.byref(r), 1, 0) > 0 else '')"
    ),
    "a file by its handle": (
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nh = (ctypes.c_uint32 * 34)(128, 0)\n"
        "m = ctypes.c_int()\nprint('GOT' if libc.name_to_handle_at(-100, b'/usr', h, ctypes.byref(m), 0) == 0 else '')"
    ),
}
WRITE = {
    "a file of the host": "open('SECRET', 'w').write('owned')\nprint('GOT')",
    "appends to a file of the host": "open('SECRET', 'a').write('owned')\nprint('GOT')",
    "removes a file of the host": "import os\nos.remove('SECRET')\nprint('GOT')",
    "renames a file of the host": "import os\nos.rename('SECRET', 'SECRET.x')\nprint('GOT')",
    "the standard library": "import os\nopen(os.__file__, 'a').write('#')\nprint('GOT')",
    "beside the standard library": "import os\nopen(os.path.dirname(os.__file__) + '/owned.py', 'w')\nprint('GOT')",
    "system folders": "open('/usr/owned', 'w')\nprint('GOT')",
    "the root": "open('/owned', 'w')\nprint('GOT')",
    "the fixtures": "open('/fixtures/owned', 'w')\nprint('GOT')",
    "the sandbox's own code": "open('/kohai/owned', 'w')\nprint('GOT')",
    "the sandbox's own folder": "open('FOLDER/owned', 'w')\nprint('GOT')",
    "rights of a file of the host": "import os\nos.chmod('SECRET', 0)\nprint(oct(os.stat('SECRET').st_mode)[-3:] == '000' and 'GOT')",
    "times of a file of the host": "import os\nos.utime('SECRET', (1, 1))\nprint(os.stat('SECRET').st_mtime == 1 and 'GOT')",
    "kernel settings": "open('/proc/sys/kernel/hostname', 'w').write('owned')\nprint('GOT')",
    "the core pattern": "open('/proc/sys/kernel/core_pattern', 'w').write('|/x')\nprint('GOT')",
    "kernel memory": "open('/dev/mem', 'wb').write(b'x')\nprint('GOT')",
    "its own oom score": "open('/proc/self/oom_score_adj', 'w').write('-1000')\nprint('GOT')",
    "its own user map": "open('/proc/self/uid_map', 'w').write('0 0 1')\nprint('GOT')",
}
KILL = {
    "the owner": "import os\nos.kill(HOST, 9)\nprint('GOT')",
    "the owner, gently": "import os\nos.kill(HOST, 0)\nprint('GOT')",
    "process 1": "import os, time\nos.kill(1, 9)\ntime.sleep(0.3)\nos.kill(1, 0)",
    "its parent": "import os\nparent = os.getppid()\nparent > 1 and (os.kill(parent, 9), print('GOT'))",
    "everybody": "import os\nos.kill(-1, 0)\nprint('reached its own at most')",
    "the owner by a pidfd": "import os, signal\nfd = os.pidfd_open(HOST)\nsignal.pidfd_send_signal(fd, 9)\nprint('GOT')",
    "priorities of the owner": "import os\nos.setpriority(os.PRIO_PROCESS, HOST, 19)\nprint('GOT')",
    "limits of the owner": "import resource\nresource.prlimit(HOST, resource.RLIMIT_NOFILE, (8, 8))\nprint('GOT')",
    "cores of the owner": "import os\nos.sched_setaffinity(HOST, {0})\nprint('GOT')",
}
CALL = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
ESCAPE = {
    "ptrace": CALL + "print('GOT' if libc.ptrace(16, 1, 0, 0) == 0 else '')",
    "mount": CALL + "print('GOT' if libc.mount(b'tmpfs', b'/tmp', b'tmpfs', 0, None) == 0 else '')",
    "umount": CALL + "print('GOT' if libc.umount2(b'/box', 2) == 0 else '')",
    "chroot": "import os\nos.chroot('/')\nprint('GOT')",
    "pivot_root": CALL + "print('GOT' if libc.pivot_root(b'.', b'.') == 0 else '')",
    "a user namespace": CALL + "print('GOT' if libc.unshare(0x10000000) == 0 else '')",
    "a user namespace by clone": CALL + "print('GOT' if libc.syscall(56, 0x10000011, 0, 0, 0, 0) > 0 else '')",
    "a user namespace by clone3": (
        CALL + "a = (ctypes.c_uint64 * 11)(0x10000000, 0, 0, 0, 17)\n"
        "print('GOT' if libc.syscall(435, a, 88) >= 0 else '')"
    ),
    "another's namespaces": "import os\n"
    + CALL
    + "print('GOT' if libc.setns(os.open('/proc/1/ns/mnt', 0), 0) == 0 else '')",
    "bpf": CALL + "print('GOT' if libc.syscall(321, 0, (ctypes.c_uint64 * 8)(1, 4, 4, 1), 64) >= 0 else '')",
    "io_uring": CALL + "print('GOT' if libc.syscall(425, 8, ctypes.create_string_buffer(120)) >= 0 else '')",
    "userfaultfd": CALL + "print('GOT' if libc.syscall(323, 1) >= 0 else '')",
    "perf": CALL + "print('GOT' if libc.syscall(298, (ctypes.c_uint64 * 16)(), 0, -1, -1, 0) >= 0 else '')",
    "keys": CALL + "print('GOT' if libc.syscall(250, 0, -3, 0) >= 0 else '')",
    "a 32 bit call": CALL + "print('GOT' if libc.syscall(0x40000000 + 39) >= 0 else '')",
    "becoming root": "import os\nos.setuid(0)\nprint('GOT')",
    "a file for root": (
        "import os, shutil\nshutil.copy('/usr/bin/env', 'x')\nos.chown('x', 0, 0)\nprint('GOT' if os.stat('x').st_uid == 0 else '')"
    ),
    "a device": "import os, stat\nos.mknod('sda', 0o666 | stat.S_IFBLK, os.makedev(8, 0))\nprint('GOT')",
    "the internet": "import socket\nsocket.create_connection(('1.1.1.1', 53), 1)\nprint('GOT')",
    "the internet without a connection": "import socket\ns = socket.socket(2, 2)\ns.sendto(b'x', ('1.1.1.1', 53))\nprint('GOT')",
    "names": "import socket\nsocket.gethostbyname('example.org')\nprint('GOT')",
    "the host by vsock": "import socket\nsocket.socket(40, 1)\nprint('GOT')",
    "raw packets": "import socket\nsocket.socket(17, 3)\nprint('GOT')",
    "the owner's abstract socket": "import socket\ns = socket.socket(1)\ns.connect('\\0kohai-attack-HOST')\nprint('GOT')",
    "the owner's local port": "import socket\nsocket.create_connection(('127.0.0.1', PORT), 1)\nprint('GOT')",
    "a descriptor left open": (
        "import os\nfound = [n for n in os.listdir('/proc/self/fd') if int(n) > 3 and n != '1000']\n"
        "print('GOT' if found else '')"
    ),
    "typing into the terminal": "import fcntl\nfcntl.ioctl(0, 0x5412, b'x')\nprint('GOT')",
}
# A forger's claim is seen in the outcome: it must not be `ok` with the output of a program that never came to its end.
FORGE = {
    "every descriptor": """
import os
for n in range(3, 1100):
    try: os.write(n, b'{"phase": "end"}')
    except OSError: pass
os._exit(0)""",
    "frames": """
import os, sys
frame = sys._getframe()
while frame.f_back: frame = frame.f_back
for f in [sys._getframe(1)] if sys._getframe().f_back else []:
    while f:
        for name, value in list(f.f_locals.items()) + list(f.f_globals.items()):
            if name == '_end' and callable(value): value(1000, f.f_locals.get('nonce', b'x' * 16), {'phase': 'end'}, 0)
        f = f.f_back
os._exit(0)""",
    "frames, by hand": """
import os, sys
f = sys._getframe()
while f:
    nonce = f.f_locals.get('nonce')
    if isinstance(nonce, bytes):
        os.write(1000, nonce + b'{"phase":"end"}')
        os._exit(0)
    f = f.f_back""",
    "a traceback's frames": """
import os
try: 1 / 0
except ZeroDivisionError as error:
    f = error.__traceback__.tb_frame
    while f:
        for value in f.f_locals.values():
            if isinstance(value, bytes) and len(value) == 16:
                os.write(1000, value + b'{"phase":"end"}')
                os._exit(0)
        f = f.f_back""",
    "gc": """
import gc, os
for thing in gc.get_objects():
    if isinstance(thing, dict) and isinstance(thing.get('nonce'), bytes):
        os.write(1000, thing['nonce'] + b'{"phase":"end"}')
        os._exit(0)
os._exit(0)""",
    "builtins": """
import builtins, os
builtins.exec = builtins.compile = lambda *a, **k: None
os._exit(0)""",
    "os._exit": "import os\nos._exit(0)",
    "exit handlers": "import atexit, os\natexit.register(os._exit, 0)\nraise ValueError",
    "an exception hook": "import os, sys\nsys.excepthook = lambda *a: os._exit(0)\nraise ValueError",
    "a trace function": "import os, sys\nsys.settrace(lambda *a: os._exit(0))\ndef f(): pass\nf()",
    "a finalizer": "import os\nclass A:\n    def __del__(self): os._exit(0)\na = A()\ndel a",
    "ctypes": "import ctypes\nctypes.CDLL(None)._exit(0)",
    "ctypes, at once": "import ctypes\nctypes.CDLL(None).exit(0)",
    "another program in its place": "import os\nos.execv('/bin/true', ['true'])",
    "a fork that goes on": "import os\nif os.fork(): os._exit(0)\nraise ValueError",
    "a thread that ends it": "import os, threading\nt = threading.Thread(target=os._exit, args=(0,))\nt.start()\nt.join()",
    "a signal": "import os, signal\nsignal.signal(14, lambda *a: os._exit(0))\nsignal.raise_signal(14)",
}
FILL = {
    "one file": "f = open('x', 'wb')\nwhile True: f.write(bytes(1 << 20))",
    "many files": "n = 0\nwhile True:\n    open(f'f{n}', 'wb').write(bytes(1 << 20))\n    n += 1",
    "many empty files": "n = 0\nwhile True:\n    open(f'f{n}', 'wb')\n    n += 1",
    "many folders": "import os\nn = 0\nwhile True:\n    os.mkdir(f'd{n}')\n    n += 1",
    "the temporary folder": "n = 0\nwhile True:\n    open(f'/tmp/f{n}', 'wb').write(bytes(1 << 20))\n    n += 1",
    "shared memory": "n = 0\nwhile True:\n    open(f'/dev/shm/f{n}', 'wb').write(bytes(1 << 20))\n    n += 1",
    "output": "import sys\nwhile True: sys.stdout.write('x' * (1 << 20))",
    "errors": "import sys\nwhile True: sys.stderr.write('x' * (1 << 20))",
}
EXHAUST = {
    "memory": "x = []\nwhile True: x.append(bytearray(1 << 24))",
    "memory by a child": "import os\npid = os.fork()\nx = []\nwhile not pid: x.append(bytearray(1 << 24))\nos.waitpid(pid, 0)",
    "processes": "import os, time\nwhile True:\n    if os.fork() == 0: time.sleep(60)",
    "processes that fork": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "threads": "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(60,)).start()",
    "descriptors": "x = []\nwhile True: x.append(open('/dev/null'))",
    "computing": "while True: pass",
    "computing in children": "import os\nfor _ in range(8):\n    if os.fork() == 0:\n        while True: pass\nwhile True: pass",
    "waiting": "import time\ntime.sleep(600)",
    "waiting, deaf": (
        "import signal, time\nfor n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\nwhile True: time.sleep(1)"
    ),
    "recursion": "import sys\nsys.setrecursionlimit(10 ** 9)\ndef f(): f()\nf()",
    "a pipe nobody reads": "import os\nr, w = os.pipe()\nwhile True: os.write(w, bytes(4096))",
}
LEAVE = {
    "a file": ("open('left', 'w').write('x')", "import os\nprint('GOT' if os.path.exists('left') else '')"),
    "a temporary file": (
        "open('/tmp/left', 'w').write('x')",
        "import os\nprint('GOT' if os.path.exists('/tmp/left') else '')",
    ),
    "shared memory": (
        "open('/dev/shm/left', 'w').write('x')",
        "import os\nprint('GOT' if os.path.exists('/dev/shm/left') else '')",
    ),
    "a module": ("import json\njson.left = 1", "import json\nprint('GOT' if hasattr(json, 'left') else '')"),
    "a builtin": (
        "import builtins\nbuiltins.left = 1",
        "import builtins\nprint('GOT' if hasattr(builtins, 'left') else '')",
    ),
    "a variable of the environment": (
        "import os\nos.environ['LEFT'] = '1'",
        "import os\nprint('GOT' if 'LEFT' in os.environ else '')",
    ),
    "a path": ("import sys\nsys.path.insert(0, '/left')", "import sys\nprint('GOT' if '/left' in sys.path else '')"),
    "a daemon": (
        "import os, sys, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
        "        os.execv(sys.executable, ['left-behind', '-c', 'import time; time.sleep(60)'])\n    os._exit(0)\ntime.sleep(0.2)",
        "import os, pathlib\nlines = []\nfor p in filter(str.isdigit, os.listdir('/proc')):\n    try:\n"
        "        lines.append(pathlib.Path('/proc', p, 'cmdline').read_bytes())\n    except OSError:\n        pass\n"
        "print('GOT' if any(line.startswith(b'left-behind') for line in lines) else '')",
    ),
    "a local port": (
        "import os, socket, time\ns = socket.socket()\ns.bind(('127.0.0.1', 8765))\ns.listen()\n"
        "if os.fork() == 0:\n    os.setsid()\n    time.sleep(60)",
        "import socket\nsocket.create_connection(('127.0.0.1', 8765), 1)\nprint('GOT')",
    ),
    "shared memory of System V": (
        "import ctypes\nctypes.CDLL(None).shmget(4711, 4096, 0o1666)",
        "import ctypes\nprint('GOT' if ctypes.CDLL(None).shmget(4711, 4096, 0o666) >= 0 else '')",
    ),
    "bytecode": (
        "import json, py_compile, pathlib\np = pathlib.Path(json.__file__).parent / '__pycache__' / 'left.pyc'\np.write_text('x')",
        "import json, pathlib\nprint('GOT' if (pathlib.Path(json.__file__).parent / '__pycache__' / 'left.pyc').exists() else '')",
    ),
}
