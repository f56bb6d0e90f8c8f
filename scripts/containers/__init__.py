"""Tests of the stack as people run it: Docker Compose, a real engine, requests through NGINX (`scripts/compose-test`)."""
