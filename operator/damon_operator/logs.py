"""One line per message on stderr: lower-case key=value."""

import logging


def to_stderr(level: str) -> None:
    """Log messages of this level ("debug" to "error") and above."""
    for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        logging.addLevelName(number, logging.getLevelName(number).lower())
    logging.basicConfig(
        level=level,
        format="time=%(asctime)s level=%(levelname)s from=%(name)s %(message)s",
    )
    if level != "debug":  # a line per handler call and per probe tells nobody anything
        for chatty in ("kopf.objects", "kopf.activities", "aiohttp.access"):
            logging.getLogger(chatty).setLevel("warning")
