"""What the agent and the learner say, in words; the choice among variants is a fixed function.

The same step and action always give the same words, so that pictures and recordings repeat.
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
    "How about “{title}”? It needs nothing that you do not have.",
    "Let us open {topic}: “{title}” is the first part.",
)
SUGGEST_NEXT: Variants = (
    "Next I suggest “{title}”. It builds on what you did in {topic}.",
    "How about “{title}”? Take it at your own pace.",
    "Let us go on with {topic}: “{title}”.",
)
SUGGEST_FINISHED: Variants = (
    "Would you like to go on with {topic}?",
    "Let us stay with {topic} a little.",
)
GIVE_RESOURCE = (
    "{resource} may help: {clause}",
    "Worth knowing is {resource}: {clause}",
    "Have a look at {resource}: {clause}",
)
GIVE_PLAIN_RESOURCE = ("Here is something to read about {topic}.",)
ASK: Variants = (
    "What would help your music most at the moment?",
    "Is anything unclear so far, and what do you want to get out of this?",
    "Tell me what you are working on: a release, a contract, an audience?",
)
RECOMMEND_QUIZ = (
    "Three questions on “{title}”. One of them: {question}",
    "Shall we check what you keep of “{title}”? For example: {question}",
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
        "That was too much for now, I stopped half way.",
        "I could not follow it to the end.",
    ),
    "skipped": ("Not now, I skip this one.", "I will pass on that.", "Skipping it."),
    "read": ("Thanks, I had a look.", "I read it.", "Opened it, thank you."),
    "answered": ("Mostly {named} is what I need.", "I want to get on with {named}.", "{named}."),
    "passed": ("Passed: {correct} of 3 right.", "{correct} of 3 right, I passed."),
    "failed": ("Only {correct} of 3 right.", "I got {correct} of 3, not enough."),
    "nothing to test": (
        "On what? I have nothing to be tested on.",
        "There is no quiz open for me.",
    ),
}
PRAISE = ("That was just what I needed.", "Really useful, thank you.", "Great suggestion.")
COMPLAINT = ("This does not help me.", "Not what I am looking for.", "This wastes my time.")
FAREWELL = ("I am leaving it here.", "I have had enough for now.")


def advice(exchange: Exchange) -> str:
    """Return what the agent said in a step.

    :raises ValueError: the action is not one of 0..5
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
        message = f"action must be 0..5, it is {exchange.action}"
        raise ValueError(message)
    return _pick(variants, exchange, "advice").format(**words)


def _resource(exchange: Exchange, words: Words) -> tuple[Variants, Words]:
    """Return a resource of the module, or plain words where the course has none."""
    module = load_course().module(exchange.topic, exchange.level)
    if module is None:
        return GIVE_PLAIN_RESOURCE, words
    resource = _pick(module.resources, exchange, "resource")
    clause = resource.look_for[0].lower() + resource.look_for[1:]
    return GIVE_RESOURCE, words | {"resource": resource.name, "clause": clause}


def _quiz(exchange: Exchange, words: Words) -> tuple[Variants, Words]:
    """Return a question of the module's quiz, or plain words where the course has none."""
    if exchange.level == 0:
        return RECOMMEND_EMPTY_QUIZ, words
    module = load_course().module(exchange.topic, exchange.level)
    if module is None:
        return RECOMMEND_PLAIN_QUIZ, words
    question = _pick(module.questions, exchange, "question").question
    return RECOMMEND_QUIZ, words | {"question": question}


def reply(exchange: Exchange) -> str:
    """Return what the learner answered, with praise, complaint or farewell."""
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
    key = f"{part} {exchange.step} {exchange.action}"
    return variants[crc32(key.encode()) % len(variants)]
