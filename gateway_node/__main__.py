"""The entry point: Ctrl-C ends the process before the imports, of a second, are done."""

import signal

from gateway_node.init import stand_above


def main() -> None:
    """Serve, as `gateway_node.main.main` does."""
    stand_above()
    # Python's own KeyboardInterrupt can come up in a callback of the import system, and is lost
    # there. The default action ends the process until `EndSignals` takes over.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from gateway_node.main import main as serve

    serve()


if __name__ == '__main__':
    main()
