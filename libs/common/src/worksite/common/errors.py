"""Every error that crosses a module boundary, drawn as a tree.

WorksiteError
├── Retryable               try the same thing again later; never counts against the message
│   ├── BusUnavailable      no answer from the message bus
│   ├── QueueFull           a stream refuses more for this subject
│   ├── UnknownMessageType  a newer producer is at work; hand the message back
│   ├── ServiceUnavailable  another service did not answer
│   └── ModelUnavailable    no usable reply of a language model this time (llm/errors.py)
└── Permanent               trying again cannot help
    ├── Conflict            somebody else wrote first (compare-and-set failed)
    ├── Fenced              the step was taken over by another delivery
    ├── MalformedMessage    cannot be parsed: dead-letter it
    ├── PermissionDenied    the bus refused the subject
    ├── PayloadTooLarge     belongs in the artifact store
    ├── ArtifactMissing     no blob of that hash
    ├── ArtifactCorrupt     content and hash disagree
    ├── StepRefused         the agent will not do this step, with a reason for the client
    │   └── StepWaits       … until somebody has mended what stands in the way
    ├── ModelRequestRefused a language model's provider will never take the request (this and below: llm/errors.py)
    ├── OutputRejected      a model's reply is not what was asked for
    ├── AgentStuck          a model at work goes in circles
    ├── UnknownPrice        nobody knows what a model costs
    └── BudgetExceeded      a model call could cost more than is left
"""

from __future__ import annotations


class WorksiteError(Exception):
    """Base of every error of ours. The text says what happened and what to do."""


class Retryable(WorksiteError):
    """Hand back with a delay."""


class Permanent(WorksiteError):
    """Do not try again."""


class BusUnavailable(Retryable):
    """NATS did not answer in time, or there is no connection."""


class QueueFull(Retryable):
    """The stream holds as many messages for this subject as it may."""


class UnknownMessageType(Retryable):
    """This version does not know the type; a newer one may."""


class ServiceUnavailable(Retryable):
    """A request/reply endpoint did not answer."""


class Conflict(Permanent):
    """The expected last sequence of a subject or key no longer holds."""


class Fenced(Permanent):
    """Another delivery owns this step now; whatever this one did must not be recorded."""


class MalformedMessage(Permanent):
    """The message does not fit its schema or lacks its envelope."""


class PermissionDenied(Permanent):
    """The bus refused this service the subject."""


class PayloadTooLarge(Permanent):
    """More than a message may carry."""


class ArtifactMissing(Permanent):
    """No artifact of that hash is stored."""


class ArtifactCorrupt(Permanent):
    """The stored bytes do not have the hash they are named by."""


class StepRefused(Permanent):
    """An agent cannot do this step, whoever tries; `code` is stable, the text is for the client."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class StepWaits(StepRefused):
    """It can be done once somebody has mended what the reason names: the task asks, and an answer has it tried again.

    `hint`: what to do.
    """

    def __init__(self, code: str, detail: str, hint: str) -> None:
        super().__init__(code, detail)
        self.hint = hint
