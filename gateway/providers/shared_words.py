"""What all providers mean by the same words: unpaid, moderated, too long, and so on. Data.

The patterns are tried in this order, over an error's codes, types and message in one line, whose
codes are split into words ("AccountOverdueError" is "Account Overdue Error"). They were made from
the errors in tests/unit/refusal_rows.py.
"""

from __future__ import annotations

from gateway.errors import Code

SHARED_WORDS: tuple[tuple[Code, tuple[str, ...]], ...] = (
    (  # unpaid, said so
        Code.PAY_BILL,
        (
            r"(insufficient|not enough|out of|no remaining|all available|(requires|purchase|add) "
            r"more|included) (\w+ )?(balance|credits?|funds|user quota)",
            (
                r"(balance|credits?) (is |are |has been )?(too low|insufficient|not"
                r" enough|negative|depleted|exhausted)"
            ),
            r"credit limit exceeded|overdue|past due|arrear|in good standing",
            r"not active, please check your billing|quota is not enough|exceeded current quota",
            r"free (trial|tier o|quota exh|allocated quota)",
            r"(resource pack|charge resource|pkg|allowance has been) exhaust",
            r"(set inference|key|spend(ing)?) limit|billing (cycle|error)|enable billing",
            r"budget (has been )?exceeded|specified api usage limits",
            (
                r"(invalid|valid \w+) subscription\b(?! key)|requires a subscription|token plan not"
                r" support"
            ),
            r"no auth error|payment required|please (pay|recharge|top up)|欠费|请(先)?充值",
            r"(余额|额度|积分|点数|资源包|计费资源)(余量)?(不足|不够|失败|已?用尽|已?用完|已耗尽)",
        ),
    ),
    (  # moderated
        Code.CONTENT_BLOCKED,
        (
            r"content exists risk|(risk|sensitive content|illegal) detect|data inspection",
            (
                r"inappropriate content|unsafe request|sensitive (content|words|information)|new"
                r" sensitive"
            ),
            (
                r"(was|were) flagged|considered high risk|safety system|violat\w* (our"
                r" )?(usage|content)"
            ),
            (
                r"content (management|filtering) policy|^content filter\b|by the content"
                r" filter|prompt blocked|敏感"
            ),
            r"违规|审核(不|未)通过",
        ),
    ),
    (  # too long
        Code.TOO_LARGE,
        (
            (
                r"maximum (context|prompt|model|allowed input) length|context length (is|of)"
                r" only|out ?of ?context"
            ),
            r"exceed(s|ed)? .{0,24}(context|n ctx)|context (length|window) exceed",
            r"(longer|greater) than the (model's )?context|n keep \(",
            r"(prompt|input|tokens|token length|characters|string) (is )?too long|token count \(",
            (
                r"max message tokens|model token limit|range of input length|max seq len|max new"
                r" tokens\W+ must"
            ),
            r"must have less than \d+ tokens|total number of tokens|"
            r"reduce the length of|上下文长度|内容过长|数量超过上限",
        ),
    ),
    (  # the model
        Code.NO_SUCH_MODEL,
        (
            r"(?<!/)\b(models?|deployment|model or endpoint)\b.{0,80} (not"
            r" (exist|found|available)|no longer "
            r"available|(decommission|deprecat)ed)",
            (
                r"(unknown|invalid|unsupported|no such) model\b(?! param)|not a valid model|found"
                r" the model"
            ),
            (
                r"model (not open|disabled)|(invalid|targeted an) endpoint|no endpoints (found"
                r" for|available)"
            ),
            r"no available channel|no models loaded|by any provider|no provider supported",
            (
                r"(to use the|access to|access) model|not found for account|not found error"
                r" model|模型不存在|无可用渠道"
            ),
            r"无权访问模型|未找到模型|模型.{0,20}已下线",
        ),
    ),
    (  # the key
        Code.BAD_KEY,
        (
            r"(invalid|incorrect|no) (api|access) (key|token)",
            (
                r"api key (not valid|expired|has been|was reported)|api secret key|access token"
                r" (invalid|expired)|\b(api|access|your) (key|token) (has |is )?expired"
            ),
            r"authentication (error|failed|failure)|not authenticated|"
            r"令牌(状态不可用|已过期|已失效|无效)",
            r"authori[sz]ation failed|hmac|api ?key.{0,6}无效|无效的 ?api ?key|密钥错误",
        ),
    ),
    (  # full
        Code.PROVIDER_BUSY,
        (
            (
                r"overloaded|(over|no|at|tier) capacity|(too|is|server) busy|high load|experiencing"
                r" high demand"
            ),
            r"rate-limited upstream|burst too fast|负载已饱和|访问量过大|容量不足|"
            r"(资源|算力)(不足|紧张)|(服务|服务器|系统)繁?忙",
        ),
    ),
    (  # a wait, also where it speaks of a quota
        Code.SLOW_DOWN,
        (
            r"rate (growth )?limit( reached| exceeded| error|$)|exceed\w* .{0,40}rate limit",
            (
                r"rate limit(ing|ed)\b|throttl|too many requests|(retry|again) in \d|resource"
                r" exhausted"
            ),
            r"in.flight budget|qps over|(request|qps|daily|hourly) limit (is |was )?reached|"
            r"总请求数限制|流量受限|过于频繁|限流",
        ),
    ),
    (  # a bill, unless a row above said that it is a wait
        Code.PAY_BILL,
        (r"exceeded your current quota",),
    ),
)
