from tests.serving import running_envoy, serving, start

__all__ = ["running_envoy", "serving", "start"]
