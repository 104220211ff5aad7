"""Asks a service over HTTP how it is: a container's health check without curl. `python -m conveyor.servicekit.probe`.

The standard library only, since it runs every few seconds.
"""

import http.client
import sys
from urllib.parse import urlsplit

URL = "http://127.0.0.1:8080/healthz"
"""What is asked unless an argument says otherwise: the port that services have in a container."""
TIMEOUT_S = 3.0


def ask(url: str, timeout_s: float = TIMEOUT_S) -> str:
    """Return why a service is not well; empty when it answers 200."""
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=timeout_s)
    try:
        connection.request("GET", where.path or "/")
        answer = connection.getresponse()
        told = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"{url}: {str(error) or type(error).__name__}"
    finally:
        connection.close()
    return "" if answer.status == http.client.OK else f"{url}: {answer.status} {told}"


def main() -> None:
    """Exit with 0 when the service is well, else with 1 and the reason."""
    sys.exit(ask(sys.argv[1] if sys.argv[1:] else URL) or 0)


if __name__ == "__main__":
    main()
