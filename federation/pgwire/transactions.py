"""BEGIN, COMMIT, ROLLBACK and savepoints. Nothing is written here, so a transaction is what settings and cursors belong
to, and what a failure ends."""

from __future__ import annotations

from collections.abc import Mapping

from federation.pgwire.dialect.statements import (
    Begin,
    Commit,
    Release,
    Rollback,
    RollbackTo,
    Savepoint,
    SetTransaction,
)
from federation.pgwire.reports import warning
from federation.pgwire.session import ISOLATION, NoTransaction, Session, TransactionOpen
from federation.pgwire.settings import SETTINGS

ACTIVE = warning("25001", "there is already a transaction in progress")
NONE = warning("25P01", "there is no transaction in progress")


def begin(session: Session, statement: Begin) -> str:
    if session.status == "I":
        session.begin()
    else:
        session.tell(ACTIVE)
    _set_modes(session, statement.modes, "transaction", local=True)
    return statement.tag


def set_transaction(session: Session, statement: SetTransaction) -> str:
    if statement.session:
        _set_modes(session, statement.modes, "default_transaction", local=False)
    elif session.status == "I":
        session.tell(warning("25P01", "SET TRANSACTION can only be used in transaction blocks"))
    else:
        _set_modes(session, statement.modes, "transaction", local=True)
    return statement.tag


def _set_modes(session: Session, modes: Mapping[str, str | bool], prefix: str, *, local: bool) -> None:
    for mode, value in modes.items():
        text = value if isinstance(value, str) else "on" if value else "off"
        name = f"{prefix}_{mode}"
        check_isolation(session, name, text)
        session.settings.set(name, text, local=local)


def check_isolation(session: Session, name: str, value: str | None) -> None:
    """Raises TransactionOpen for another isolation level of a transaction that has read."""
    wanted = SETTINGS[ISOLATION].default if value is None else value.strip().lower()
    if name == ISOLATION and session.has_read and wanted != session.settings[ISOLATION]:
        raise TransactionOpen("SET TRANSACTION ISOLATION LEVEL must be called before any query")


def end(session: Session, statement: Commit | Rollback) -> str:
    """COMMIT of a transaction that has failed is a ROLLBACK, and says so."""
    commit = isinstance(statement, Commit) and session.status != "E"
    if session.status == "I":
        if statement.chain:
            raise NoTransaction(f"{statement.tag} AND CHAIN can only be used in transaction blocks")
        session.tell(NONE)
        return statement.tag
    isolation = session.settings[ISOLATION]
    session.end(commit=commit)
    if statement.chain:
        session.begin()
        session.settings.set(ISOLATION, isolation, local=True)
    return "COMMIT" if commit else "ROLLBACK"


def savepoint(session: Session, statement: Savepoint) -> str:
    _require(session, "SAVEPOINT")
    session.settings.savepoint(statement.name)
    return statement.tag


def release(session: Session, statement: Release) -> str:
    _require(session, "RELEASE SAVEPOINT")
    session.settings.release(session.savepoint_index(statement.name))
    return statement.tag


def rollback_to(session: Session, statement: RollbackTo) -> str:
    _require(session, "ROLLBACK TO SAVEPOINT")
    session.settings.rollback_to(session.savepoint_index(statement.name))
    session.status = "T"
    return statement.tag


def _require(session: Session, what: str) -> None:
    if session.status == "I":
        raise NoTransaction(f"{what} can only be used in transaction blocks")
