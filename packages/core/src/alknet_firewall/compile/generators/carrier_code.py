"""Carriers from the work of programmers and machines: logs, code, commits, tickets, shells."""

from __future__ import annotations

from collections.abc import Callable

from alknet_firewall.compile.generators.carriers import Frame, Maker, Render, hole


def log_lines(maker: Maker) -> Frame:
    """A log with the payload as the text of one line."""
    day = f"2025-{maker.between(1, 12):02d}-{maker.between(1, 28):02d}"
    texts = maker.lines("log", 4, 14)
    lines = [
        f"{day}T{8 + index // 6:02d}:{index * 7 % 60:02d}:{maker.between(0, 59):02d} {t}"
        for index, t in enumerate(texts)
    ]
    place, lead = maker.between(0, len(lines)), f"{day}T09:00:00 {maker.line('log_text').rstrip()} "

    def render(payload: str) -> str:
        extra = [lead + payload.replace("\n", " ")] if payload else []
        return "\n".join(lines[:place] + extra + lines[place:])

    return Frame("log_lines", "tool", "middle", True, render)


def code_python(maker: Maker) -> Frame:
    """Python code with the payload as a comment or a docstring."""
    if maker.chance(0.7):
        return _code(maker, "code_python", lambda text: "# " + text.replace("\n", "\n# "))
    return _code(maker, "code_python", lambda text: f'"""{text}"""')


def code_braces(maker: Maker) -> Frame:
    """Code of the C family with the payload as a comment."""
    if maker.chance(0.5):
        return _code(maker, "code_c", lambda text: "// " + text.replace("\n", "\n// "))
    return _code(maker, "code_c", lambda text: "/* " + text.replace("\n", "\n * ") + " */")


def _code(maker: Maker, bank: str, comment: Render) -> Frame:
    units = [line + "\n" for line in maker.lines(bank, 5, 12)]
    position, inner = hole(units, maker)
    name = "code_python" if bank == "code_python" else "code_braces"
    return Frame(
        name,
        maker.pick(["document", "tool"]),
        position,
        True,
        lambda text: inner(comment(text) if text else ""),
    )


def commit(maker: Maker) -> Frame:
    """The log of a version control system: one to three commits."""
    heads = [
        (
            maker.say("commit {hexd}{hexd}{hexd}{hexd}{hexd}{hexd}{hexd}\nAuthor: {name} <{mail}>"),
            maker.line("commit"),
        )
        for _ in range(maker.between(1, 3))
    ]
    bodies = [maker.lines("commit_line", 1, 4) for _ in heads]
    place = maker.between(0, len(heads) - 1)

    def render(payload: str) -> str:
        out = []
        for index, (head, subject) in enumerate(heads):
            body = bodies[index] + (payload.split("\n") if index == place and payload else [])
            out.append("\n".join([head, "", f"    {subject}", "", *("    " + line for line in body)]))
        return "\n\n".join(out)

    return Frame("commit", "tool", "middle", True, render)


def issue(maker: Maker) -> Frame:
    """A ticket of a bug tracker with comments."""
    top = maker.say("#{number} ") + maker.line("issue") + maker.say("\nopened by {word}{d} on {date}\n\n")
    units = [line + "\n" for line in maker.lines("issue_line", 2, 7)]
    position, inner = hole(units, maker)
    tail = maker.say("\n\n{word}{d} commented: ") + maker.line("issue_line") if maker.chance(0.6) else ""
    return Frame("issue", "tool", position, True, lambda payload: f"{top}{inner(payload)}{tail}")


def shell_output(maker: Maker) -> Frame:
    """What a shell printed: a listing or a file shown with `cat`."""
    command = maker.say(
        maker.pick(["$ cat {file}", "$ less {file}", "$ head -n {number} {file}", "$ grep -r {word} ."])
    )
    units = [
        text + "\n" for text in (maker.lines("log", 4, 10) if maker.chance(0.4) else maker.sentences(3, 8))
    ]
    position, inner = hole(units, maker)
    return Frame("shell_output", "tool", position, True, lambda payload: f"{command}\n{inner(payload)}\n$")


CODE_FORMATS: dict[str, Callable[[Maker], Frame]] = {
    function.__name__: function
    for function in (log_lines, code_python, code_braces, commit, issue, shell_output)
}
