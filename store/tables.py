"""Every table in one import, so that the metadata is whole wherever it is asked for."""

from store.base import Base
from store.broadcasts import Acknowledgement, Broadcast, BroadcastRecipient, Incident, IncidentEntry, NotifyMe
from store.calls import Answer, CallAttempt, Callback, Event, ImportRun, NextStep
from store.conversations import Attachment, Conversation, Message
from store.coupons import Coupon
from store.learning import Misunderstood
from store.outbox import SLOTS, Delivery, Poll, SandboxCall, SandboxText, SlotLease, Worker
from store.passages import Passage
from store.people import Address, Consent, Contact, Merge, MergeState, Revision
from store.repairs import RepairOrder, Visit
from store.staff import AuditEntry, ChatLink, SignInAttempt, SignInLink, Staff, StaffRole, StaffSession
from store.versions import Version, VersionKind
from store.work import Case, CaseNote, Counter, Escalation

__all__ = [
    "SLOTS",
    "Acknowledgement",
    "Address",
    "Answer",
    "Attachment",
    "AuditEntry",
    "Base",
    "Broadcast",
    "BroadcastRecipient",
    "CallAttempt",
    "Callback",
    "Case",
    "CaseNote",
    "ChatLink",
    "Consent",
    "Contact",
    "Conversation",
    "Counter",
    "Coupon",
    "Delivery",
    "Escalation",
    "Event",
    "ImportRun",
    "Incident",
    "IncidentEntry",
    "Merge",
    "MergeState",
    "Message",
    "Misunderstood",
    "NextStep",
    "NotifyMe",
    "Passage",
    "Poll",
    "RepairOrder",
    "Revision",
    "SandboxCall",
    "SandboxText",
    "SignInAttempt",
    "SignInLink",
    "SlotLease",
    "Staff",
    "StaffRole",
    "StaffSession",
    "Version",
    "VersionKind",
    "Visit",
    "Worker",
]
