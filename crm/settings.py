"""Every setting of the desk. What differs between machines is read from the environment, through crm.environment."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog
from celery.schedules import crontab
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from redis.backoff import NoBackoff
from redis.retry import Retry

from crm import environment

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(environment.text("DATA_DIR", str(BASE_DIR / "var"))).absolute()

# --- The machine it runs on -------------------------------------------------------------------------------------------
DEBUG = environment.boolean("DEBUG", default=False)
SECRET_KEY = environment.secret_key()
SITE_URL = environment.site_url()
SITE_HOST = urlsplit(SITE_URL).hostname or ""
ALLOWED_HOSTS = environment.words("ALLOWED_HOSTS", SITE_HOST)
if "*" in ALLOWED_HOSTS:
    raise ImproperlyConfigured("ALLOWED_HOSTS is *: name the hosts that people type into their browser.")
if DEBUG and not all(map(environment.is_loopback, [SITE_HOST, *ALLOWED_HOSTS])):
    raise ImproperlyConfigured("DEBUG is true with a public host in ALLOWED_HOSTS or SITE_URL: set DEBUG=false.")
HTTPS = SITE_URL.startswith("https://")
if not HTTPS and not environment.is_loopback(SITE_HOST):
    raise ImproperlyConfigured("SITE_URL is plain http on a public host: passwords would travel in the clear.")

# --- What it is made of -----------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "crm.apps.DeskAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.forms",
    "django_htmx",
    "axes",
    "csp",
    "accounts",
    "followups",
    "leads",
    "performance",
]
MIDDLEWARE = [
    "crm.request_log.RequestLogMiddleware",
    "performance.middleware.TimingsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "crm.compression.CompressedPagesMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    # Before the CSRF check: who is not signed in is told so first.
    "accounts.middleware.SignInRequiredMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "followups.middleware.SavedMiddleware",
    "crm.errors.DatabaseTroubleMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "crm.urls"
WSGI_APPLICATION = "crm.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

# --- PostgreSQL -------------------------------------------------------------------------------------------------------
# The capture statement costs half when it is prepared. A pooler in transaction mode that cannot keep prepared
# statements needs PREPARE_STATEMENTS=false.
PREPARE_STATEMENTS = environment.boolean("PREPARE_STATEMENTS", default=True)
DATABASES = {
    "default": {
        **environment.database(
            {"server_side_binding": True, "prepare_threshold": 3} if PREPARE_STATEMENTS else {},
            statement_timeout=environment.number("STATEMENT_TIMEOUT", 15_000),
        ),
        "CONN_MAX_AGE": 600,
        "ATOMIC_REQUESTS": False,
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis: cache and nudges. Down, it makes a page slower, never wrong -----------------------------------------------
REDIS_URL = environment.redis_url()
CACHES: dict[str, Any] = {
    "default": {
        "BACKEND": "performance.counted_cache.CountedRedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "desk",
        "OPTIONS": {
            "IGNORE_EXCEPTIONS": True,
            # Nothing that is read back from Redis can run.
            "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
            "SOCKET_CONNECT_TIMEOUT": 0.1,
            "SOCKET_TIMEOUT": 0.1,
            "CLIENT_CLASS": "performance.counted_cache.PatientClient",
            "REDIS_CLIENT_CLASS": "performance.counted_cache.PatientRedis",
            # One time-out is one wait: nothing is tried twice, and a new connection begins with no conversation. With
            # protocol 3, redis-py does not look whether a connection holds an old answer before it is used again.
            "CONNECTION_POOL_KWARGS": {"retry": Retry(NoBackoff(), 0), "protocol": 2, "driver_info": None},
        },
    }
}
SESSION_ENGINE = "accounts.sessions"
SESSION_COOKIE_AGE = 24 * 60 * 60

# --- Celery -----------------------------------------------------------------------------------------------------------
NUDGE_SECONDS = 0.5
CELERY_BROKER_URL = environment.broker_url(REDIS_URL)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,
    "socket_timeout": 5,
    "socket_connect_timeout": 5,
}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "desk"
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
# A round that takes longer than this has lost its lease anyway.
CELERY_TASK_SOFT_TIME_LIMIT = 300
CELERY_TASK_TIME_LIMIT = 330
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "Asia/Kolkata"
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "beat-schedule")
CELERY_BEAT_SCHEDULE = {
    "record waiting call attempts": {
        "task": "followups.tasks.record_waiting",
        "schedule": NUDGE_SECONDS,
        "options": {"expires": 2},
    },
    "send waiting mail": {
        "task": "followups.tasks.mail_waiting",
        "schedule": NUDGE_SECONDS,
        "options": {"expires": 2},
    },
    # A supervisor has asked to put the database in order.
    "optimize the database": {
        "task": "performance.tasks.optimize",
        "schedule": 2,
        "options": {"expires": 5},
    },
    # Each by its name in performance.maintenance, in the dealer's time; what is bigger at night.
    **{
        f"maintain {job}": {
            "task": "performance.tasks.maintain",
            "args": [job],
            "schedule": schedule,
            "options": {"expires": 15 * 60},
        }
        for job, schedule in {
            "outbox": crontab(minute="*/15"),
            "next-calls": crontab(minute="20"),
            "sessions": crontab(hour="3", minute="10"),
            "sign-ins": crontab(hour="3", minute="20"),
            "counters": crontab(hour="3", minute="30"),
        }.items()
    },
}

# --- Monitoring -------------------------------------------------------------------------------------------------------
METRICS_TOKEN = environment.metrics_token()

# --- Mail -------------------------------------------------------------------------------------------------------------
_email = environment.email()
EMAIL_BACKEND = _email["EMAIL_BACKEND"]
EMAIL_HOST = _email["EMAIL_HOST"]
EMAIL_PORT = _email["EMAIL_PORT"]
EMAIL_HOST_USER = _email["EMAIL_HOST_USER"]
EMAIL_HOST_PASSWORD = _email["EMAIL_HOST_PASSWORD"]
EMAIL_USE_TLS = _email["EMAIL_USE_TLS"]
EMAIL_USE_SSL = _email["EMAIL_USE_SSL"]
EMAIL_TIMEOUT = _email["EMAIL_TIMEOUT"]
DEFAULT_FROM_EMAIL = environment.text("MAIL_FROM", f"Lead desk <desk@{SITE_HOST}>")

# --- People -----------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "accounts.signed_in.SignedInBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 8}},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "accounts.passwords.MixedCharactersValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
# Ten wrong passwords lock a name, for the address they came from, for half an hour.
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.5
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_CALLABLE = "accounts.views.locked_out"
AXES_ENABLE_ADMIN = False
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False

# --- The browser ------------------------------------------------------------------------------------------------------
CSRF_TRUSTED_ORIGINS = [SITE_URL]
CSRF_FAILURE_VIEW = "crm.errors.csrf_failure"
CSRF_COOKIE_SECURE = SESSION_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = HTTPS and environment.boolean("SSL_REDIRECT", default=True)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY: dict[str, Any] = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# --- Words and times: kept in UTC, shown in the dealer's day ----------------------------------------------------------
LANGUAGE_CODE = "en-in"
USE_I18N = False
DATETIME_FORMAT = "j M Y, H:i"
DATE_FORMAT = "j M Y"
USE_TZ = True
TIME_ZONE = "Asia/Kolkata"

# --- Logs: one JSON object a line, each with the request or task that caused it ---------------------------------------
LOG_LEVEL = environment.text("LOG_LEVEL", "INFO")
if LOG_LEVEL not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
    raise ImproperlyConfigured(f"LOG_LEVEL is {LOG_LEVEL!r}: write DEBUG, INFO, WARNING, ERROR or CRITICAL.")
_before: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
_rendered: list[Any] = (
    [structlog.dev.ConsoleRenderer()]
    if DEBUG
    else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
)
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_before,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "desk": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendered,
            ],
            "foreign_pre_chain": _before,
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "desk"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "django": {"handlers": [], "level": LOG_LEVEL, "propagate": True},
        "django.server": {"handlers": [], "level": "WARNING", "propagate": True},
        # A nudge that finds nothing to do is not news; twice a second it would bury the rest.
        "celery.app.trace": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "axes": {"level": "WARNING"},
    },
}

# --- Development only -------------------------------------------------------------------------------------------------
if DEBUG:
    INSTALLED_APPS += ["debug_toolbar"]
    # It reads pages, so it comes before they are compressed.
    MIDDLEWARE.insert(5, "debug_toolbar.middleware.DebugToolbarMiddleware")
    INTERNAL_IPS = ["127.0.0.1", "::1"]
