"""Sign-in and the change of a password: Django's forms in the desk's words."""

from typing import Any

from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.core.exceptions import ValidationError

from accounts.models import LONGEST_USERNAME

REFUSED = "The username and the password do not belong together, or this person may no longer sign in."


class SignInForm(AuthenticationForm):
    """Username in any case, and password."""

    error_messages = {"invalid_login": REFUSED, "inactive": REFUSED}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, missing in [("username", "Type your username."), ("password", "Type your password.")]:
            self.fields[name].error_messages["required"] = missing
        self.fields["username"].widget.attrs["spellcheck"] = "false"

    def clean_username(self) -> str:
        """In small letters, so that failed tries count for one name however it was typed. Failed tries are written
        down: what is longer than any name goes no further."""
        typed = str(self.cleaned_data["username"]).lower()
        if len(typed) > LONGEST_USERNAME:
            raise ValidationError(REFUSED)
        return typed


class ChangePasswordForm(PasswordChangeForm):
    """The current password, and the new one twice."""

    error_messages = {
        "password_mismatch": "The two new passwords differ: type the new one again.",
        "password_incorrect": "This is not your current password.",
    }
    field_order = ["old_password", "new_password1", "new_password2"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, label in [
            ("old_password", "Current password"),
            ("new_password1", "New password"),
            ("new_password2", "New password again"),
        ]:
            field = self.fields[name]
            field.label, field.help_text = label, ""
            field.error_messages["required"] = "Type the password."
