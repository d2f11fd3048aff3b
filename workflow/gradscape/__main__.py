import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the command line deals with it

from gradscape.cli.parser import main  # noqa: E402

if __name__ == "__main__":
    main()
