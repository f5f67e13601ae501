"""What a user can cause: one line that names the thing, its value, and what would be right."""


class InputError(ValueError):
    """A file, image, weight, value or flag that cannot be used; the message is one line for the user."""


class ConfigError(InputError):
    """A configuration value that is unknown, of the wrong type, or impossible beside the others."""


class Diverged(InputError):
    """A training whose numbers are no longer finite; the same settings diverge again."""


def check_at_least(least: float, **numbers: float) -> None:
    """Raise InputError, by name, unless each of the numbers is at least so much."""
    for name, number in numbers.items():
        if number < least:
            raise InputError(f"{name} is {number}; it must be {least} or more")


class Preempted(KeyboardInterrupt):
    """Something outside ended the process; what is done is kept, and the same command resumes."""
