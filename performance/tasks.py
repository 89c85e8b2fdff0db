"""What beat starts now and then; the jobs are in performance.maintenance, and can be done by hand."""

from celery import shared_task

from performance import maintenance


@shared_task
def maintain(name: str) -> None:
    maintenance.run(maintenance.JOBS[name])
