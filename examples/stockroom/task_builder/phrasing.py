"""Turns steps into one instruction in English and one program."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from task_builder.contexts import CONTEXTS
from task_builder.world import Print, Step, capital, spin

REQUESTS = (
    "{C}.",
    "{C}.",
    "{C}.",
    "Please {c}.",
    "Please {c}.",
    "Could you {c}?",
    "Can you {c}, please?",
    "Would you {c}?",
    "I need you to {c}.",
    "We need to {c}.",
    "Kindly {c}.",
    "Ticket: {c}.",
    "To do: {c}.",
    "The shift lead wants us to {c}.",
    "Your job is to {c}.",
    "Next on the list: {c}.",
    "Go ahead and {c}.",
    "Hi, could you {c}? Thanks.",
    "It's time to {c}.",
    "Before the shift ends, {c}.",
    "As agreed this morning, {c}.",
    "Quick one: {c}.",
    "I'd like you to {c}.",
    "Don't forget to {c}.",
    "{C}, please.",
)
PAIRS = (
    "{C1}, then {c2}.",
    "{C1}, and then {c2}.",
    "First {c1}. After that, {c2}.",
    "First {c1}; then {c2}.",
    "{R1} Then {c2}.",
    "{R1} Once that is done, {c2}.",
    "{S1} Then {c2}.",
    "{S1} After that, {c2}.",
    "{S1} Next, {c2}.",
    "{S1} When that's in place, {c2}.",
    "{S1} {S2}",
    "{C1}. {S2}",
    "After you {c1}, {c2}.",
    "Two things, in this order: {c1}; {c2}.",
    "1) {C1}. 2) {C2}.",
    "Please {c1}, and afterwards {c2}.",
    "Could you {c1}, and then {c2}?",
    "Note from the day shift: {c1}. Then {c2}.",
    "When you get a minute, {c1}; after that, {c2}.",
    "We need to {c1} and then {c2}.",
)
TRIPLES = (
    "First {c1}. Then {c2}. Finally, {c3}.",
    "{C1}, then {c2}, and finally {c3}.",
    "1) {C1}. 2) {C2}. 3) {C3}.",
    "{S1} Then {c2}, and lastly {c3}.",
    "{S1} {S2} Finally, {c3}.",
    "Three steps: {c1}; {c2}; {c3}.",
    "{C1}. Next, {c2}, and after that {c3}.",
    "Please {c1}. Once that is done, {c2}, then {c3}.",
    "{R1} After that, {c2}, and then {c3}.",
)
# Said now and then before or after the request.
CONTEXT_CHANCE, CLOSER_CHANCE = 0.65, 0.15
CLOSERS = (
    "Thanks.",
    "Thank you!",
    "That's all for now.",
    "Leave everything else as it is.",
    "I'm back at my desk in an hour.",
    "Nothing else should change.",
)
# The extra connection between a request and the printing of its result.
TAILS = (" and print {}", ", then print {}", " and print {}", " and show {}", " and output {}", ", and print {}")
AFTERS = ("Print {}.", "Then print {}.", "Afterwards, print {}.", "Please print {}.", "Show {} when done.")


@dataclass(frozen=True)
class Segment:
    """A step and what is printed of its result, if anything."""

    step: Step
    shown: Print | None = None


def noun(rng: random.Random, segment: Segment) -> str:
    return spin(rng, segment.shown.nouns) if segment.shown else ""


def clause(rng: random.Random, segment: Segment) -> str:
    """The request in the infinitive, with the printing."""
    ask = spin(rng, rng.choice(segment.step.asks))
    if segment.step.reads:
        return ask.replace("OUT", f"{rng.choice(['print', 'print', 'print', 'show', 'output'])} {noun(rng, segment)}")
    return ask + (rng.choice(TAILS).format(noun(rng, segment)) if segment.shown else "")


def request(rng: random.Random, segment: Segment) -> str:
    """The request as one sentence around its infinitive."""
    text = clause(rng, segment)
    return rng.choice(REQUESTS).replace("{C}", capital(text)).replace("{c}", text)


def sentence(rng: random.Random, segment: Segment) -> str:
    """The request in another register: a statement, a question, a passive; else as a plain request."""
    step, options = segment.step, []
    for say in step.says:
        options.append(say.replace("OUT", f"print {noun(rng, segment)}"))
    if step.reads and segment.shown:
        for question in segment.shown.questions:
            options.append(
                f"{question.format(step.about)} {rng.choice(AFTERS[:1] + AFTERS[3:4]).format(noun(rng, segment))}"
            )
    if not options:
        return request(rng, segment)
    text = capital(spin(rng, rng.choice(options)))
    if segment.shown and not step.reads:
        text += " " + rng.choice(AFTERS).format(noun(rng, segment))
    return text


def instruct(rng: random.Random, segments: list[Segment]) -> str:
    """One instruction for all segments, now and then with some talk around it."""
    text = requests(rng, segments)
    first = segments[0].step
    area = re.search(r"\b(\w+)\.\w+\(room", first.call + "".join(first.block))
    if area and rng.random() < CONTEXT_CHANCE:
        text = f"{rng.choice(CONTEXTS[area[1]])} {text}"
    if rng.random() < CLOSER_CHANCE and "hanks" not in text:
        text = f"{text} {rng.choice(CLOSERS)}"
    return text


def requests(rng: random.Random, segments: list[Segment]) -> str:
    """The requests alone, connected."""
    if len(segments) == 1:
        only = segments[0]
        text = sentence(rng, only) if rng.random() < 0.45 else request(rng, only)
        return text
    pattern = rng.choice(PAIRS if len(segments) == 2 else TRIPLES)
    for number, segment in enumerate(segments, 1):
        makers = {"c": clause, "C": clause, "S": sentence, "R": request}
        for kind, maker in makers.items():
            slot = f"{{{kind}{number}}}"
            if slot in pattern:
                text = maker(rng, segment)
                pattern = pattern.replace(slot, capital(text) if kind == "C" else text)
    return pattern


def used(name: str, lines: list[str]) -> bool:
    """Whether the lines read the name before they give it another value."""
    for line in lines:
        value = re.sub(rf"^\s*({name} = |for {name} in )", "", line)
        if re.search(rf"(?<![\w.\"]){name}(\.|\)|:|$)", value):
            return True
        if value != line:
            return False
    return False


def body(segments: list[Segment]) -> list[str]:
    """The program's lines inside the room; a result gets a name only where it is used."""
    lines: list[str] = []
    for segment in reversed(segments):
        step, shown = segment.step, segment.shown.code.split("\n") if segment.shown else []
        if step.block:
            part = [*step.block, *shown]
        elif shown and shown[0].startswith("for ") and not used(step.var, lines):
            part = [shown[0].replace(f" in {step.var}:", f" in {step.call}:"), *shown[1:]]
        elif used(step.var, [*shown, *lines]):
            part = [f"{step.var} = {step.call}", *shown]
        else:
            part = [step.call]
        lines = part + lines
    return lines


def program(lines: list[str], enums: dict[str, str]) -> str:
    """The whole script: imports for what the lines use, then the room."""
    text = "\n".join(lines)
    areas = sorted({*re.findall(r"\b([a-z]+)\.\w+\(room", text), "open_room"})
    imports = [f"from stockroom import {', '.join(areas)}"]
    members: dict[str, set[str]] = {}
    for name in re.findall(r"\b([A-Z][a-z]+)\.[A-Z]+\b", text):
        members.setdefault(enums[name], set()).add(name)
    imports += [f"from stockroom.{area} import {', '.join(sorted(names))}" for area, names in sorted(members.items())]
    return "\n".join([*imports, "", "with open_room() as room:", *(f"    {line}" for line in lines)]) + "\n"
