      * Has the gateway sort a mail in GBK, on a raw socket.
      *
      *   cobc -x task.cob && ./task customer-in-GBK mail-in-GBK
      *
      * Settings: GATEWAY_HOST (an IPv4 address), GATEWAY_PORT,
      * GATEWAY_TOKEN, CHAT_NAME. Needs GnuCOBOL 3; the socket calls
      * are the C library's own.
      * The task (CHAT_NAME, or sort_mail) has the prompt, and answers
      * one word. In a form only % & + need escaping: other bytes go
      * as they are, and in GBK no other character holds these three.
      * A mail has up to 2,000 bytes.
       IDENTIFICATION DIVISION.
       PROGRAM-ID. TASK.
       DATA DIVISION.
       WORKING-STORAGE SECTION.
       01  GATEWAY-HOST PIC X(16).
       01  GATEWAY-PORT PIC X(5).
       01  GATEWAY-TOKEN PIC X(128).
       01  CHAT-NAME PIC X(64).
       01  CUSTOMER PIC X(60).
       01  MAIL PIC X(2000).
       01  ANSWER PIC X(4000) VALUE SPACES.
       01  SEND-BUFFER PIC X(7000).
       01  BODY PIC X(6300).
       01  BODY-LENGTH PIC 9(5).
       01  CRLF PIC XX VALUE X"0D0A".
       01  SOCKET-ADDRESS.
           05  FAMILY PIC 9(4) COMP-5 VALUE 2.
           05  PORT PIC XX COMP-X.
           05  HOST PIC X(4).
           05  FILLER PIC X(8) VALUE LOW-VALUES.
       01  SOCKET-NUMBER BINARY-LONG.
       01  RESULT BINARY-LONG.
       01  SIZE-OF BINARY-LONG.
       01  AT-BYTE BINARY-LONG VALUE 1.
       01  DIGITS PIC X(5).
       PROCEDURE DIVISION.
       MAIN.
           PERFORM READ-SETTINGS.
           PERFORM WRITE-REQUEST.
           CALL "alarm" USING BY VALUE 130.
           PERFORM ASK-GATEWAY.
           IF AT-BYTE < 16
               DISPLAY "no answer" UPON SYSERR
               STOP RUN RETURNING 1
           END-IF.
           MOVE 5 TO SIZE-OF.
           INSPECT ANSWER TALLYING SIZE-OF
               FOR CHARACTERS BEFORE INITIAL X"0D0A0D0A".
           IF ANSWER (10:3) NOT = "200"
               DISPLAY FUNCTION TRIM (ANSWER (SIZE-OF:)) UPON SYSERR
               STOP RUN RETURNING 1
           END-IF.
           MOVE 17 TO RESULT.
           INSPECT ANSWER TALLYING RESULT
               FOR CHARACTERS BEFORE INITIAL "Content-Length: ".
           UNSTRING ANSWER (RESULT:5) DELIMITED BY X"0D" INTO DIGITS.
           IF AT-BYTE - SIZE-OF NOT = FUNCTION NUMVAL (DIGITS)
               DISPLAY "the answer was cut off" UPON SYSERR
               STOP RUN RETURNING 1
           END-IF.
           IF ANSWER (SIZE-OF:) = "refund"
               DISPLAY "refund: to the cashier"
           ELSE
               DISPLAY FUNCTION TRIM (ANSWER (SIZE-OF:))
                   ": to the office"
           END-IF.
           STOP RUN RETURNING 0.

       READ-SETTINGS.
           ACCEPT GATEWAY-HOST FROM ENVIRONMENT "GATEWAY_HOST".
           ACCEPT GATEWAY-PORT FROM ENVIRONMENT "GATEWAY_PORT".
           ACCEPT GATEWAY-TOKEN FROM ENVIRONMENT "GATEWAY_TOKEN".
           ACCEPT CHAT-NAME FROM ENVIRONMENT "CHAT_NAME".
           ACCEPT CUSTOMER FROM ARGUMENT-VALUE.
           ACCEPT MAIL FROM ARGUMENT-VALUE.
           IF GATEWAY-HOST = SPACES MOVE "127.0.0.1" TO GATEWAY-HOST.
           IF GATEWAY-PORT = SPACES MOVE "8099" TO GATEWAY-PORT.
           IF CHAT-NAME = SPACES MOVE "sort_mail" TO CHAT-NAME.
           IF CUSTOMER = SPACES MOVE "Ann" TO CUSTOMER.
           IF MAIL = SPACES
               MOVE "My lamp broke. I want my money back." TO MAIL.

       WRITE-REQUEST.
           STRING "chat_name=" FUNCTION TRIM (CHAT-NAME)
               "&customer=" FUNCTION SUBSTITUTE
               (FUNCTION TRIM (CUSTOMER) "%" "%25" "&" "%26" "+" "%2B")
               "&content=" FUNCTION SUBSTITUTE
               (FUNCTION TRIM (MAIL) "%" "%25" "&" "%26" "+" "%2B")
               DELIMITED BY SIZE INTO BODY WITH POINTER AT-BYTE.
           COMPUTE BODY-LENGTH = AT-BYTE - 1.
           MOVE 1 TO AT-BYTE.
           STRING "POST /task/chat HTTP/1.0" CRLF
               "Content-Type: application/x-www-form-urlencoded; "
               "charset=gbk" CRLF
               "X-Api-Key: " FUNCTION TRIM (GATEWAY-TOKEN) CRLF
               "Content-Length: " BODY-LENGTH CRLF
               CRLF
               BODY (1:BODY-LENGTH) DELIMITED BY SIZE
               INTO SEND-BUFFER WITH POINTER AT-BYTE.
           COMPUTE SIZE-OF = AT-BYTE - 1.

       ASK-GATEWAY.
           COMPUTE PORT = FUNCTION NUMVAL (GATEWAY-PORT).
           INSPECT GATEWAY-HOST REPLACING ALL SPACE BY LOW-VALUE.
           CALL "inet_pton" USING BY VALUE 2
               BY REFERENCE GATEWAY-HOST HOST.
           CALL "socket" USING BY VALUE 2 1 0
               RETURNING SOCKET-NUMBER.
           CALL "connect" USING BY VALUE SOCKET-NUMBER
               BY REFERENCE SOCKET-ADDRESS BY VALUE 16
               RETURNING RESULT.
           IF RESULT NOT = 0
               DISPLAY "cannot connect" UPON SYSERR
               STOP RUN RETURNING 1
           END-IF.
           CALL "send" USING BY VALUE SOCKET-NUMBER
               BY REFERENCE SEND-BUFFER BY VALUE SIZE-OF 0
               RETURNING RESULT.
           MOVE 1 TO AT-BYTE.
           PERFORM UNTIL RESULT < 1 OR AT-BYTE > LENGTH OF ANSWER
               COMPUTE SIZE-OF = LENGTH OF ANSWER - AT-BYTE + 1
               CALL "recv" USING BY VALUE SOCKET-NUMBER
                   BY REFERENCE ANSWER (AT-BYTE:1)
                   BY VALUE SIZE-OF 0 RETURNING RESULT
               ADD RESULT TO AT-BYTE
           END-PERFORM.
