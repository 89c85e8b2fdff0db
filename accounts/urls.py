"""The addresses for people themselves: the way in, the way out, and one's own page."""

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LogoutView
from django.urls import path

from accounts import views

urlpatterns = [
    path("", views.home, name="home"),
    path("login", views.SignIn.as_view(), name="login"),
    # Also for those whose session has run out: they are out already, and need no sign-in for it.
    path("logout", login_not_required(LogoutView.as_view()), name="logout"),
    path("password", views.ChangePassword.as_view(), name="password"),
]
