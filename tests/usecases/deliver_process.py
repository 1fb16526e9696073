"""One worker that sends what is due, as another process: each message that it sends is a line of its output."""

from __future__ import annotations

import json
import sys

from lab.services.store_process import StoreSpec
from redis_ttl.usecases.store.message_ports import Envelope
from tests.usecases.messaging import Messaging


def _main() -> None:
    store = StoreSpec(**json.loads(sys.argv[1])).open()

    def say(envelope: Envelope) -> None:
        sys.stdout.write(f"sent {envelope.route.name} {json.dumps(envelope.documents)}\n")
        sys.stdout.flush()

    messaging = Messaging(root=None, answers=say)  # type: ignore[arg-type]  # the store is what we say
    from redis_ttl.usecases.messages.deliver_messages import deliver_due

    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        deliver_due(messaging.tools(store))
        sys.stdout.write("done\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main()
