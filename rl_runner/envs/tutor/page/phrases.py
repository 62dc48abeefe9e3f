"""The sentences of the chat: what the agent and the learner say.

The choice among the variants is a fixed function of step and action, so that pictures and
recordings are reproducible.
"""

from typing import TypeVar
from zlib import crc32

from rl_runner.envs.tutor.page.course import load_course
from rl_runner.envs.tutor.page.view import SHORT_TOPICS, Exchange
from rl_runner.envs.tutor.simulator.model import CLARIFY, N_TOPICS, QUIZ, RESOURCE

T = TypeVar("T")
Variants = tuple[str, ...]
Words = dict[str, str]

SUGGEST_FIRST: Variants = (
    "I suggest you begin {topic} with “{title}”.",
    "How about “{title}”? You already have everything you need for it.",
    "Let’s start {topic}: “{title}” is the first part.",
)
SUGGEST_NEXT: Variants = (
    "Next I suggest “{title}”. It builds on what you did in {topic}.",
    "How about “{title}”? Take it at your own pace.",
    "Let’s continue with {topic}: “{title}”.",
)
SUGGEST_FINISHED: Variants = (
    "Would you like to continue with {topic}?",
    "Let’s stay with {topic} for a while.",
)
GIVE_RESOURCE = (
    "{resource} may help: {clause}",
    "It is worth knowing {resource}: {clause}",
    "Have a look at {resource}: {clause}",
)
GIVE_PLAIN_RESOURCE = ("Here is something to read about {topic}.",)
ASK: Variants = (
    "What would help your music most right now?",
    "Is anything unclear so far, and what would you like to get out of this?",
    "Tell me what you are working on: a release, a contract, an audience?",
)
RECOMMEND_QUIZ = (
    "Three questions on “{title}”. One of them: {question}",
    "Shall we check what you remember of “{title}”? For example: {question}",
    "Try the quiz on “{title}”: {question}",
)
RECOMMEND_PLAIN_QUIZ = ("Try the quiz on “{title}” now.",)
RECOMMEND_EMPTY_QUIZ = (
    "Shall we do a quiz?",
    "Time for a few questions?",
)

REPLIES = {
    "completed": ("Done, I went through all of it.", "Finished “{title}”.", "Completed it."),
    "stopped": (
        "I started it but got stuck.",
        "That was too much for now, I stopped halfway.",
        "I could not follow it to the end.",
    ),
    "skipped": ("Not now, I’ll skip this one.", "I’ll pass on that.", "I’m skipping it."),
    "read": ("Thanks, I had a look.", "I read it.", "I opened it, thank you."),
    "answered": ("Mostly {named} is what I need.", "I want to get on with {named}.", "{named}."),
    "passed": ("Passed: {correct} of 3 right.", "{correct} of 3 right, I passed."),
    "failed": ("Only {correct} of 3 right.", "I got {correct} of 3, not enough."),
    "nothing to test": (
        "On what? I have nothing to be tested on.",
        "There is no open quiz for me.",
    ),
}
PRAISE = ("That was just what I needed.", "Really useful, thank you.", "Great suggestion.")
COMPLAINT = ("This doesn’t help me.", "Not what I’m looking for.", "This is a waste of my time.")
FAREWELL = ("I’ll leave it here.", "I’ve had enough for now.")


def advice(exchange: Exchange) -> str:
    """Return what the agent says in a step.

    :raises ValueError: if the action is not one of 0..5
    """
    words = {
        "topic": SHORT_TOPICS[exchange.topic],
        "title": load_course().title(exchange.topic, exchange.level),
    }
    if 0 <= exchange.action < N_TOPICS:
        variants = (SUGGEST_FINISHED, SUGGEST_FIRST, SUGGEST_NEXT)[min(exchange.level, 2)]
    elif exchange.action == RESOURCE:
        variants, words = _resource(exchange, words)
    elif exchange.action == CLARIFY:
        variants = ASK
    elif exchange.action == QUIZ:
        variants, words = _quiz(exchange, words)
    else:
        message = f"an action is one of 0..5, not {exchange.action}"
        raise ValueError(message)
    return _pick(variants, exchange, "advice").format(**words)


def _resource(exchange: Exchange, words: Words) -> tuple[Variants, Words]:
    """Return phrases and words for a resource of the module, or generic ones without a module."""
    module = load_course().module(exchange.topic, exchange.level)
    if module is None:
        return GIVE_PLAIN_RESOURCE, words
    resource = _pick(module.resources, exchange, "resource")
    clause = resource.look_for[0].lower() + resource.look_for[1:]
    return GIVE_RESOURCE, words | {"resource": resource.name, "clause": clause}


def _quiz(exchange: Exchange, words: Words) -> tuple[Variants, Words]:
    """Return phrases and words for a question of the module, or generic ones without a module."""
    if exchange.level == 0:
        return RECOMMEND_EMPTY_QUIZ, words
    module = load_course().module(exchange.topic, exchange.level)
    if module is None:
        return RECOMMEND_PLAIN_QUIZ, words
    question = _pick(module.questions, exchange, "question").question
    return RECOMMEND_QUIZ, words | {"question": question}


def reply(exchange: Exchange) -> str:
    """Return what the learner answers, with praise, complaint or farewell if there is any."""
    named = exchange.named_topic
    words = {
        "title": load_course().title(exchange.topic, exchange.level),
        "named": SHORT_TOPICS[named] if named is not None else "Something else",
        "correct": exchange.correct,
    }
    said = [_pick(REPLIES[exchange.response], exchange, "reply").format(**words)]
    if exchange.feedback:
        said.append(_pick(PRAISE if exchange.feedback > 0 else COMPLAINT, exchange, "feedback"))
    if exchange.left:
        said.append(_pick(FAREWELL, exchange, "farewell"))
    return " ".join(said)


def _pick(variants: tuple[T, ...], exchange: Exchange, part: str) -> T:
    """Choose a variant by a hash of part, step and action, the same in every process."""
    key = f"{part} {exchange.step} {exchange.action}"
    return variants[crc32(key.encode()) % len(variants)]
