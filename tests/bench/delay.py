# SPDX-License-Identifier: MIT
"""A line with a long way: every byte takes its time, any number are on their way at once."""

import asyncio
import threading

from integration.ports import free_port

_CHUNK = 1 << 16
_ROOM = 256     # chunks on their way in one direction


class Delay:
    """Relays to ports of this machine, each byte `seconds` later; they live until stop()."""

    def __init__(self, seconds):
        self.seconds = seconds
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def __call__(self, target):
        """The port of a relay to `target`."""
        port = free_port()

        async def serve():
            await asyncio.start_server(lambda r, w: self._relay(r, w, target), "127.0.0.1", port)

        asyncio.run_coroutine_threadsafe(serve(), self._loop).result(10)
        return port

    async def _relay(self, reader, writer, target):
        there, back = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(self._carry(reader, back), self._carry(there, writer),
                             return_exceptions=True)

    async def _carry(self, reader, writer):
        queue = asyncio.Queue(_ROOM)
        sender = asyncio.ensure_future(self._deliver(queue, writer))
        try:
            while data := await reader.read(_CHUNK):
                await queue.put((self._loop.time() + self.seconds, data))
        except OSError:
            pass
        await queue.put(None)
        await sender

    async def _deliver(self, queue, writer):
        try:
            while item := await queue.get():
                due, data = item
                await asyncio.sleep(max(0, due - self._loop.time()))
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    def stop(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
