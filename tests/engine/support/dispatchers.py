"""Dispatchers whose workers are ready."""

from engine.cluster.tasks.dispatch import Dispatcher


def ready(workers, timeout=100.0):
    dispatcher = Dispatcher(workers, timeout)
    for worker in dispatcher.crew.hires(0.0):
        dispatcher.joined(worker)
    return dispatcher


def refill(dispatcher, now=0.0):
    for worker in dispatcher.crew.hires(now):
        dispatcher.joined(worker)
