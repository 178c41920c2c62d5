% Has the gateway sort a mail, from SWI-Prolog.
%
%   swipl task.pl Ann 'My lamp broke. I want my money back.'
%
% Settings: GATEWAY_HOST, GATEWAY_PORT, GATEWAY_TOKEN, CHAT_NAME. Needs SWI-Prolog 7 or newer.
% The task (CHAT_NAME, or sort_mail) has the prompt, and answers one word.
:- use_module(library(http/http_open)).
:- initialization(main, main).

setting(Name, _, Value) :- getenv(Name, Value), Value \== '', !.
setting(_, Otherwise, Otherwise).

main([]) :- main(['Ann', 'My lamp broke. I want my money back.']).
main([Customer, Mail]) :-
    setting('GATEWAY_HOST', '127.0.0.1', Host),
    setting('GATEWAY_PORT', '8099', Port),
    setting('GATEWAY_TOKEN', '', Token),
    setting('CHAT_NAME', sort_mail, Name),
    format(atom(URL), 'http://~w:~w/task/chat', [Host, Port]),
    http_open(URL, Reply, [ post(form([chat_name=Name, customer=Customer, content=Mail])),
                            request_header('X-Api-Key'=Token), status_code(Status), size(Size), timeout(130)
                          ]),
    set_stream(Reply, encoding(octet)),
    read_string(Reply, Length, Answer),
    (   Length = Size
    ->  sorted(Status, Answer)
    ;   writeln(user_error, 'the answer was cut off'), halt(1)
    ).

sorted(200, "refund") :- !, writeln('refund: to the cashier').
sorted(200, Answer) :- !, format('~s: to the office~n', [Answer]).
sorted(_, Words) :- writeln(user_error, Words), halt(1).
