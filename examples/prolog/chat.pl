% Asks a chat of the gateway, from SWI-Prolog.
%
%   CHAT_NAME=shop_chat swipl chat.pl 你好
%
% Settings: GATEWAY_HOST, GATEWAY_PORT, GATEWAY_TOKEN, CHAT_NAME. Needs SWI-Prolog 7 or newer.
% format=text: the bare answer. http_open speaks HTTP/1.0 and cannot read a chunked reply: the gateway sends none.
:- use_module(library(http/http_open)).
:- use_module(library(readutil)).
:- use_module(library(utf8)).
:- initialization(main, main).

setting(Name, _, Value) :- getenv(Name, Value), Value \== '', !.
setting(_, Otherwise, Otherwise).

question([Question|_], Question) :- !.
question([], 你好).

main(Arguments) :-
    question(Arguments, Question),
    setting('GATEWAY_HOST', '127.0.0.1', Host),
    setting('GATEWAY_PORT', '8099', Port),
    setting('GATEWAY_TOKEN', '', Token),
    setting('CHAT_NAME', local_chat, Name),
    format(atom(URL), 'http://~w:~w/local/chat?format=text', [Host, Port]),
    http_open(URL, Reply, [ post(form([chat_name=Name, content=Question])),
                            request_header('X-Api-Key'=Token),
                            status_code(Status),
                            size(Size),
                            timeout(130)
                          ]),
    set_stream(Reply, encoding(octet)),
    read_stream_to_codes(Reply, Bytes),
    close(Reply),
    phrase(utf8_codes(Codes), Bytes),
    (   \+ length(Bytes, Size)
    ->  writeln(user_error, 'the answer was cut off'),
        halt(1)
    ;   Status =:= 200
    ->  format('~s~n', [Codes])
    ;   format(user_error, '~s~n', [Codes]),
        halt(1)
    ).
