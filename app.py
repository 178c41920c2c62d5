"""The Byzer-LLM gateway: legacy applications call large language models over plain HTTP.

`gunicorn app:app` serves it; `python app.py` also starts what it needs (see
gateway/commands/run.py).
"""

from __future__ import annotations

from functools import partial

from flask import Flask

from gateway import settings
from gateway.byte_budget import ByteBudget, give_back_large_blocks
from gateway.cluster.client import GatewayLLM
from gateway.notifications.notifier import Notifier
from gateway.web import access_log, paths, proxies, replies, services
from gateway.web.ask_all import all_app
from gateway.web.auth import Authenticator
from gateway.web.callers import callers_app
from gateway.web.console import console_app
from gateway.web.jobs import jobs_app, make_runner
from gateway.web.large_body import AT_ONCE
from gateway.web.ledger import Ledger
from gateway.web.openai_api import v1_app
from gateway.web.openapi import openapi_app
from gateway.web.spending import Spending
from gateway.web.status import status_app
from gateway.web.tables import tables_app
from gateway.web.tasks import task_app
from gateway.web.usage import usage_app
from llm_anthropic import anthropic_app
from llm_azure import azure_app
from llm_custom import custom_app
from llm_deepseek import deepseek_app
from llm_gemini import gemini_app
from llm_hunyuan import hunyuan_app
from llm_local import local_app
from llm_minimax import minimax_app
from llm_moonshot import moonshot_app
from llm_openai import openai_app
from llm_openrouter import openrouter_app
from llm_qianfan import qianfan_app
from llm_siliconflow import siliconflow_app
from llm_tongwen import tongwen_app
from llm_volcengine import volcengine_app
from llm_zhipu import zhipu_app


def create_app() -> Flask:
    """Return the whole service. Raises SettingError, naming the variable, for a setting that cannot
    be used."""
    config = settings.load()
    give_back_large_blocks()
    app = Flask(__name__, static_folder=None)
    # Else Werkzeug answers by itself, in HTML; gateway/web/paths.py knows what to do with slashes.
    app.url_map.merge_slashes = False
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.config["MAX_CONTENT_LENGTH"] = config.max_body_bytes
    app.extensions["settings"] = config
    app.extensions["authenticator"] = Authenticator(config)
    app.extensions["llm"] = llm = GatewayLLM(config.ray_address, config.max_in_flight)
    app.extensions["spending"] = spending = Spending(llm, config.state_folder, config.tokens)
    app.extensions["ledger"] = ledger = Ledger(llm, config.state_folder, spending)
    app.extensions["runner"] = make_runner(llm, ledger, spending, config)
    app.extensions["questions"] = ByteBudget(AT_ONCE * config.max_body_bytes)
    access_log.install(app, config.log_format, ledger)
    replies.install(app)
    app.before_request(services.admit)
    forgiving = paths.forgiving(app.wsgi_app)
    app.wsgi_app = proxies.see_through(forgiving, config.trusted_proxies)  # type: ignore[assignment,method-assign]
    app.register_blueprint(openai_app)
    app.register_blueprint(zhipu_app)
    app.register_blueprint(tongwen_app)
    app.register_blueprint(deepseek_app)
    app.register_blueprint(moonshot_app)
    app.register_blueprint(volcengine_app)
    app.register_blueprint(qianfan_app)
    app.register_blueprint(hunyuan_app)
    app.register_blueprint(minimax_app)
    app.register_blueprint(siliconflow_app)
    app.register_blueprint(openrouter_app)
    app.register_blueprint(anthropic_app)
    app.register_blueprint(gemini_app)
    app.register_blueprint(azure_app)
    app.register_blueprint(custom_app)
    app.register_blueprint(local_app)
    app.register_blueprint(task_app)
    app.register_blueprint(all_app)
    app.register_blueprint(jobs_app)
    app.register_blueprint(v1_app)
    app.register_blueprint(usage_app)
    app.register_blueprint(callers_app)
    app.register_blueprint(tables_app)
    app.register_blueprint(status_app)
    app.register_blueprint(openapi_app)
    app.register_blueprint(console_app)
    llm.start()
    board = partial(llm.ask_store, "notice_turn")
    way = config.notify_lang, config.egress_proxy
    Notifier(
        config.notify, *way, board, lambda: spending.with_budgets(llm.models()), spending.over
    ).start()
    return app


if __name__ == "__main__":
    import sys

    from gateway.commands import run

    run.main(sys.argv[1:])
else:
    app = create_app()
