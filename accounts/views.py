"""Sign-in, sign-out, the change of a password, and the way to one's own page."""

from typing import Any

from django.contrib import messages
from django.contrib.auth import password_validation, views
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils.cache import add_never_cache_headers
from django.utils.decorators import method_decorator

from accounts import unsaved
from accounts.access import SignedInRequest, by_htmx
from accounts.forms import ChangePasswordForm, SignInForm
from accounts.models import Role

HOMES = {
    Role.CRE: "cre_dashboard",
    Role.PS: "ps_dashboard",
    Role.BRANCH_HEAD: "branch_head_dashboard",
    Role.RECEPTIONIST: "rec_dashboard",
    Role.SUPERVISOR: "admin:index",
}
SIGNED_OUT = "You were signed out. Sign in again: what you have typed is kept."
ANOTHERS = "What {who} had typed was not saved, and is not shown to you. You are signed in as {name}."
LOCKED = "Too many wrong passwords for this name. Wait half an hour, or ask a supervisor."


@method_decorator(login_not_required, name="dispatch")
class SignIn(views.LoginView):
    form_class = SignInForm
    template_name = "accounts/login.html"
    redirect_authenticated_user = True

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if by_htmx(request):
            # A page that was open across a sign-out asks for a part of itself: not for this page.
            return render(request, "trouble.html", {"message": SIGNED_OUT, "status": 401}, status=401)
        return super().dispatch(request, *args, **kwargs)

    def get_redirect_url(self, request: HttpRequest | None = None) -> str:
        """Where `next` leads; not to this page itself, which would lead on for ever."""
        url = super().get_redirect_url()
        return "" if url.split("?")[0] == self.request.path else url

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(typed=unsaved.carried(self.request), **kwargs)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Signs in; whoever was in the middle of a form is led back into it."""
        answer = super().form_valid(form)
        typed = unsaved.carried(self.request)
        if typed is None:
            return answer
        if typed.who == form.get_user().get_username():
            return _back_to_form(self.request, typed)
        messages.warning(self.request, ANOTHERS.format(who=typed.who, name=form.get_user()))
        return redirect("home")


def ask_to_sign_in(request: HttpRequest, typed: unsaved.Unsaved) -> HttpResponse:
    """The sign-in form for somebody who was signed out in the middle of a form; it carries what they typed."""
    form = SignInForm(request, initial={"username": typed.who})
    form.fields["username"].widget.attrs["autofocus"] = False
    form.fields["password"].widget.attrs["autofocus"] = True
    context = {"form": form, "next": typed.path, "typed": typed}
    answer = render(request, "accounts/login.html", context, status=401)
    add_never_cache_headers(answer)
    return answer


def _back_to_form(request: HttpRequest, typed: unsaved.Unsaved, status: int = 200) -> HttpResponse:
    """One button that leads back into the form, with the token of now."""
    answer = render(request, "accounts/resume.html", {"typed": typed, "status": status}, status=status)
    add_never_cache_headers(answer)
    return answer


def form_out_of_date(request: HttpRequest) -> HttpResponse | None:
    """For a form that was open across a sign-in or sign-out, so that its token is of before: the way back into it."""
    typed = unsaved.posted(request) or (unsaved.carried(request) if unsaved.from_our_pages(request) else None)
    if typed is None:
        return None
    if not request.user.is_authenticated:
        return ask_to_sign_in(request, typed)
    return _back_to_form(request, typed, 403) if typed.who == request.user.get_username() else None


class ChangePassword(views.PasswordChangeView):
    form_class = ChangePasswordForm
    template_name = "accounts/password.html"
    success_url = reverse_lazy("home")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(rules=password_validation.password_validators_help_texts(), **kwargs)

    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        messages.success(self.request, "Your password is changed. Use the new one from now on.")
        return super().form_valid(form)


def home(request: SignedInRequest) -> HttpResponse:
    """Each role has a page of its own."""
    return redirect(HOMES[Role(request.user.role)])


@login_not_required
def locked_out(
    request: HttpRequest, original_response: HttpResponse | None = None, credentials: Any = None
) -> HttpResponse:
    """What axes answers once a name has been tried too often."""
    return render(request, "trouble.html", {"message": LOCKED, "status": 429}, status=429)
