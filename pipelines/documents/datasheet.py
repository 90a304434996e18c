"""The datasheet: every question of Gebru et al. 2021, answered by the ledger with its source, by a person, or marked as open."""

from pipelines.documents.answers import MARK, QUESTIONS, SECTIONS, Answers, Question
from pipelines.documents.exported import Exported
from pipelines.documents.facts import Facts
from pipelines.documents.known import known
from pipelines.documents.markdown import plain


def datasheet(facts: Facts, exported: Exported | None, answers: Answers) -> str:
    """Markdown. A sentence of the ledger ends with where it stands in the store; a person's answer stands as it was written."""
    parts = [
        f"# Datasheet: {facts.title}\n",
        "Questions after Gebru et al., *Datasheets for Datasets* (2021). What the run recorded is filled in, each sentence with its place "
        f"in the store; what nobody recorded is marked. Ledger head: `{facts.head}`.\n",
    ]
    for title, questions in SECTIONS.items():
        parts.append(f"\n## {title}\n")
        parts += [_answered(one, facts, exported, answers) for one in questions]
    return "\n".join(parts)


def _answered(one: Question, facts: Facts, exported: Exported | None, answers: Answers) -> str:
    ours = known(one.facts, facts, exported) if one.facts else []
    lines = [f"- {plain(sentence.text)} (`{sentence.source}`)" for sentence in ours]
    if one.key in answers:
        lines.append(f"\n{answers[one.key]}" if lines else str(answers[one.key]))
    if not lines and one.free:
        lines.append(f"> Nothing more was said: `{one.key}` in answers.yaml.")
    elif not lines:
        lines.append(f"> {MARK}: `{one.key}` in answers.yaml.{' Nothing on it was recorded.' if one.facts else ''}")
    return f"**{one.text}**\n\n" + "\n".join(lines) + "\n"


def unanswered(facts: Facts, exported: Exported | None, answers: Answers) -> list[str]:
    """The keys of questions that neither a person answered nor anything that was recorded."""
    return [
        key
        for key, one in QUESTIONS.items()
        if key not in answers and not one.free and not (one.facts and known(one.facts, facts, exported))
    ]
