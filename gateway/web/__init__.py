"""What HTTP clients meet: Flask and gunicorn. It never imports Ray."""
