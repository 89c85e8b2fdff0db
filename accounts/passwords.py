"""The dealer's rule for passwords, beside Django's own validators (8 or more characters, not common)."""

from django.core.exceptions import ValidationError

from accounts.models import User

RULE = "A password needs a capital letter, a small letter, a digit and a special character such as ! or #."


class MixedCharactersValidator:
    def validate(self, password: str, user: User | None = None) -> None:
        """Raises ValidationError unless every kind of character is there."""
        kinds = [str.isupper, str.islower, str.isdigit, lambda character: not character.isalnum()]
        if not all(any(map(kind, password)) for kind in kinds):
            raise ValidationError(RULE, code="password_not_mixed")

    def get_help_text(self) -> str:
        return RULE
