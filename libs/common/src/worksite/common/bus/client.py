# nats-py is only partly typed.
# pyright: reportUnknownMemberType=false
"""nats-py's client, mended where ours has to know or to survive more (ADR 0001, ADR 0009)."""

from __future__ import annotations

import asyncio
import ssl

import nats.errors
from nats.aio.client import Client
from worksite.common import telemetry
from worksite.common.bus.envelope import SEQUENCE
from worksite.common.bus.stored import RELAYED
from worksite.common.bus.tls import BusTls, NoTls
from worksite.common.errors import Permanent

_SEQUENCE_LINE = f"\r\n{SEQUENCE}:".encode()


class NatsClient(Client):
    """Sees what the server relayed, and whether the other end still answers. Keeps to TLS."""

    def __init__(self, tls: BusTls | None = None) -> None:
        super().__init__()
        self._tls = tls or BusTls()

    @property
    def ssl_context(self) -> ssl.SSLContext:
        """Made for each connection. An error of nats-py's kind: another would end its attempts to reconnect."""
        try:
            return self._tls.context()
        except Permanent as error:
            raise nats.errors.Error(str(error)) from None

    @property
    def server_id(self) -> str | None:
        """Of the server on the other end, a new one whenever it starts; None without a connection."""
        return self._server_info.get("server_id") if self.is_connected else None

    @property
    def tls_hostname(self) -> str | None:
        """Whose certificate the server has to show, where its address is a bare one that the cluster told."""
        return self._current_server.tls_name if self._current_server else None

    def _connect_command(self) -> bytes:
        """What has the password in it. nats-py 2.16 sends it in plain text to whoever says that TLS is not needed, also
        where the address says `tls://`: then anybody on the way could have it."""
        server = self._current_server
        if server and server.uri.scheme == "tls" and not self._server_info.get("tls_required"):
            raise NoTls
        return super()._connect_command()

    async def round_trip(self, patience_seconds: float) -> bool:
        """Does the server answer a PING in time? Unlike `flush`, which is content when nobody reads the connection."""
        answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(patience_seconds):
                await self._send_ping(answered)
                return await answered
        except (TimeoutError, OSError, nats.errors.Error):
            return False

    async def lost(self) -> None:
        """nats-py says this of a connection that we close as well: that is no loss."""
        if self.is_reconnecting:
            telemetry.disconnected()

    async def _process_headers(self, headers: bytes) -> dict[str, str] | None:
        """A direct get adds the server's own headers behind those that are stored. Of one name nats-py keeps the last,
        so the server's count; that a relayed message brought the same ones has to be seen before."""
        parsed = await super()._process_headers(headers)
        if parsed and headers.count(_SEQUENCE_LINE) > 1:
            parsed[RELAYED] = "true"
        return parsed

    async def _process_err(self, err_msg: str) -> None:
        """Come back after a server has said why it hangs up, as it does to a user whose password was changed. nats-py
        2.16 closes the connection for good then, and the service would be deaf until somebody restarts it."""
        if self.is_connected and "permissions violation" not in err_msg.lower():
            await self._error_cb(nats.errors.Error(f"nats: {err_msg}"))
            await self._process_op_err(nats.errors.Error(f"nats: {err_msg}"))
        else:
            await super()._process_err(err_msg)

    async def _process_pong(self) -> None:
        """Survive the answer to a flush that was given up, as by a client that leaves while the server stands still.

        nats-py 2.16 sets the result of a cancelled future then, and its reading loop ends on the error: every later
        request times out on a connection that looks sound.
        """
        if self._pongs and self._pongs[0].done():
            self._pongs[0] = asyncio.get_running_loop().create_future()  # in its place: pongs come in order
        await super()._process_pong()
