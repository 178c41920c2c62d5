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
            r"(insufficient|not enough|out of|no remaining|all available|included|n[’']t have any"
            r"|positive|(requires|purchase|add) more)"
            r" (\w+ )?(balance|credits?|funds|user quota)",
            r"no credits (remaining|left)|used (up )?all (of )?(your|my|the) credits"
            r"|billing hard limit|余额为 ?0|套餐已过期|请续费",
            r"(balance|credits?( limit)?) (is |are |(has|have) been )?(too low|insufficient"
            r"|not enough|negative|depleted|exhausted)",
            r"credit limit exceeded|overdue|past due|arrear|in good standing",
            r"not active, please check your billing|quota is not enough|exceeded current quota",
            r"free (trial|tier (o|users do not)|quota exh|allocated quota)",
            r"(resource pack|charge resource|pkg|allowance has been) exhaust",
            r"(set inference|key|spend(ing)?) limit|spending cap|billing (cycle|error)"
            r"|enable billing",
            r"budget (has been )?exceeded|exceeded (\w+ )?budget: |over budget\. spend"
            r"|specified (\w+ )?api usage limits",
            r"usage limit,? upgrade|from your extra usage|payment instrument|credit card on file",
            r"(inactive|no active|invalid|valid \w+) subscription\b(?! key)",
            r"requires a subscription|subscription quota insufficient|token plan not support",
            r"(subscription|token|coding) plan does not (yet |currently )?(include|cover)"
            r"|套餐暂?未开放",
            r"no auth error|payment required|please (pay|recharge|top up)|欠费|请(先)?充值",
            r"(余额|额度|积分|点数|资源包|计费资源)(余量)?(不足|不够|失败|已?用尽|已?用完|已耗尽)",
        ),
    ),
    (  # moderated
        Code.CONTENT_BLOCKED,
        (
            r"content exists risk|(risk|sensitive content|illegal) detect|data inspection",
            r"inappropriate content|unsafe request|sensitive (content|words|information)"
            r"|new sensitive|cyber policy",
            r"(was|were|(content|request|prompt|input) has been) flagged|considered high risk"
            r"|safety system"
            r"|violat\w* (our )?(usage|content)",
            r"content (management|filtering) policy|^content filter\b|by the content filter"
            r"|prompt blocked|blocked by \S{0,20} ?safety|content policy violation"
            r"|moderation blocked|prohibited content|responsible ?ai ?policy|flagged input",
            r"敏感|违规|违禁词|审核(不|未)通过",
        ),
    ),
    (  # too long
        Code.TOO_LARGE,
        (
            r"maximum (context|prompt|model|allowed input) length|context length (is|of) only"
            r"|out ?of ?context",
            r"exceed(s|ed)? .{0,24}(context|n ctx)|context (length|window) exceed",
            r"(longer|greater) than the (model's )?context|n keep \(",
            r"(prompt|input|tokens|(token|input|prompt) length|characters|string) (is )?too long"
            r"|token count \(|exceeds max(imum)? length",
            # but not what is counted by the minute
            r"(number of input tokens|prompt length|total message size)\b.{0,16} exceed\w*"
            r" (the )?(limit|max)|payload size exceeds the limit: \d+ bytes",
            r"input tokens exceed the configured limit|token count of \d+ exceeds the limit",
            r"max message tokens|model token limit|range of input length|max seq len"
            r"|max new tokens\W+ must|max prompt tokens exceeded",
            r"too large to process|model only supports up to \d|input token limit is",
            r"must have less than \d+ tokens|total number of tokens|reduce the length of",
            r"上下文长度|内容过长|数量超过上限|(输入|提示词?|token).{0,12}过长|超过.{0,10}上下文",
        ),
    ),
    (  # the model
        Code.NO_SUCH_MODEL,
        (
            r"(?<!/)\b(models?|deployment|model or endpoint)\b.{0,80} (not (exist|found|available)"
            r"|no longer available|(decommission|deprecat)ed|removed on [a-z]+ \d"
            r"|reached the end of its life)",
            r"(unknown|invalid|unsupported|no such) model\b(?! param)|unavailable model:",
            r"not a valid model|found the model|model (name|identifier) is invalid"
            r"|supported api model names|not work with the specified model",
            r"model (not open|disabled|not supported\b)|requested model is not supported",
            r"(invalid|targeted an) endpoint|no endpoints (found (for|matching)|available)",
            r"no available channel|no models loaded|by any provider|no provider supported"
            r"|no allowed providers",
            r"(to use the|access( to)?( this| the)?) model\b|model\W?access (is )?denied",
            r"use case details have not|not agreed to .{0,40}terms|on.demand throughput"
            r"|free period for this model",
            r"not found for account|not found error model|模型不存在|无可用渠道|价格未配置",
            r"无权访问模型|未找到模型|模型.{0,20}已下线|模型.{1,60}不存在",
        ),
    ),
    (  # the key
        Code.BAD_KEY,
        (
            r"(invalid|incorrect|no) (api|access) (key|token)|api key is not set|security token",
            r"api key (not valid|expired|has been|was reported)|api secret key"
            r"|access token (invalid|expired)|oauth token (has been )?revoked"
            r"|\b(api|access|your) (key|token) (has |is )?expired",
            r"authentication (error|failed|failure)|not authenticated|authori[sz]ation failed|hmac",
            r"key.based authentication is disabled|sufficient permissions to"
            r"|unauthorized to access requested",
            r"(organization|account)( \S{1,60})? (has been|is) (disabled|deactivated|banned)"
            r"|account( \S{1,60})? (has been|is) suspended(?! from)|project has been denied access",
            r"consumer \S{1,60} has been suspended",
            r"令牌(状态不可用|已过期|已失效|无效)|api ?key.{0,6}无效|无效的 ?api ?key|密钥错误",
            r"用户已被?(封禁|禁用)|分组已被弃用|无权访问.{0,20}分组|不在令牌允许",
        ),
    ),
    (  # full
        Code.PROVIDER_BUSY,
        (
            r"overloaded|(over|no|at|tier) capacity|capacity temporarily|high (load|traffic)"
            r"|experiencing high demand|(too|is|server|model) busy",
            r"rate-limited upstream|burst too fast|worker local total request limit",
            r"负载已饱和|访问量过大|容量不足|(资源|算力)(不足|紧张)|(服务|服务器|系统)繁?忙",
        ),
    ),
    (  # a wait, also where it speaks of a quota
        Code.SLOW_DOWN,
        (
            r"rate (growth )?limit( reached| exceeded| error|$)|exceed\w* .{0,40}rate limit",
            r"rate limit(ing|ed)\b|throttl|too many requests|(retry|again) in \d"
            r"|resource exhausted",
            r"in.flight budget|qps over|(request|qps|daily|hourly) limit (is |was )?reached",
            r"总请求数限制|流量受限|过于频繁|限流",
        ),
    ),
    (  # not to be had from here: another provider may be
        Code.PROVIDER_DOWN,
        (r"degraded function|only available for coding agents",),
    ),
    (  # a bill, unless a row above said that it is a wait
        Code.PAY_BILL,
        (r"exceeded your current quota",),
    ),
)
