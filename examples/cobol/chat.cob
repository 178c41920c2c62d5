      * Asks a chat of the gateway in GBK, on a raw socket.
      *
      *   cobc -x chat.cob && CHAT_NAME=shop_chat ./chat question-in-GBK
      *
      * Settings: GATEWAY_HOST (an IPv4 address), GATEWAY_PORT,
      * GATEWAY_TOKEN, CHAT_NAME. Needs GnuCOBOL 3; the socket calls
      * are the C library's own.
      * charset=gbk: what a Chinese COBOL system holds in PIC X.
      * format=text: there is no JSON in COBOL. The length goes out
      * with leading zeros; HTTP/1.0: the close ends the reply.
      * A question has up to 2,000 bytes, a reply 64,000.
       IDENTIFICATION DIVISION.
       PROGRAM-ID. CHAT.
       DATA DIVISION.
       WORKING-STORAGE SECTION.
       01  GATEWAY-HOST PIC X(16).
       01  GATEWAY-PORT PIC X(5).
       01  GATEWAY-TOKEN PIC X(128).
       01  CHAT-NAME PIC X(64).
       01  QUESTION PIC X(2000).
       01  ANSWER PIC X(64000).
       01  SEND-BUFFER PIC X(7000).
       01  BODY PIC X(6200).
       01  BODY-LENGTH PIC 9(5).
       01  HEXITS PIC X(16) VALUE "0123456789ABCDEF".
       01  CRLF PIC XX VALUE X"0D0A".
       01  SOCKET-ADDRESS.
           05  FAMILY PIC 9(4) COMP-5 VALUE 2.
           05  PORT PIC XX COMP-X.
           05  HOST PIC X(4).
           05  FILLER PIC X(8) VALUE LOW-VALUES.
       01  SOCKET-NUMBER BINARY-LONG.
       01  RESULT BINARY-LONG.
       01  SIZE-OF BINARY-LONG.
       01  ROOM BINARY-LONG.
       01  I BINARY-LONG.
       01  AT-BYTE BINARY-LONG VALUE 1.
       01  HIGH-DIGIT BINARY-LONG.
       01  LOW-DIGIT BINARY-LONG.
       01  DIGITS PIC X(7).
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
           MOVE 0 TO I.
           INSPECT ANSWER TALLYING I
               FOR CHARACTERS BEFORE INITIAL X"0D0A0D0A".
           COMPUTE SIZE-OF = AT-BYTE - I - 5.
           MOVE 17 TO ROOM.
           INSPECT ANSWER TALLYING ROOM
               FOR CHARACTERS BEFORE INITIAL "Content-Length: ".
           UNSTRING ANSWER (ROOM:7) DELIMITED BY X"0D" INTO DIGITS.
           IF SIZE-OF NOT = FUNCTION NUMVAL (DIGITS)
               DISPLAY "the answer was cut off" UPON SYSERR
               STOP RUN RETURNING 1
           END-IF.
           IF ANSWER (10:3) = "200"
               DISPLAY ANSWER (I + 5:SIZE-OF)
               STOP RUN
           END-IF.
           DISPLAY ANSWER (I + 5:SIZE-OF) UPON SYSERR.
           STOP RUN RETURNING 1.

       READ-SETTINGS.
           ACCEPT GATEWAY-HOST FROM ENVIRONMENT "GATEWAY_HOST".
           ACCEPT GATEWAY-PORT FROM ENVIRONMENT "GATEWAY_PORT".
           ACCEPT GATEWAY-TOKEN FROM ENVIRONMENT "GATEWAY_TOKEN".
           ACCEPT CHAT-NAME FROM ENVIRONMENT "CHAT_NAME".
           ACCEPT QUESTION FROM ARGUMENT-VALUE.
           IF GATEWAY-HOST = SPACES MOVE "127.0.0.1" TO GATEWAY-HOST.
           IF GATEWAY-PORT = SPACES MOVE "8099" TO GATEWAY-PORT.
           IF CHAT-NAME = SPACES MOVE "local_chat" TO CHAT-NAME.
           IF QUESTION = SPACES MOVE X"C4E3BAC3" TO QUESTION.

       WRITE-REQUEST.
           MOVE 0 TO SIZE-OF.
           INSPECT FUNCTION REVERSE (QUESTION)
               TALLYING SIZE-OF FOR LEADING SPACES.
           COMPUTE SIZE-OF = LENGTH OF QUESTION - SIZE-OF.
           STRING "chat_name=" DELIMITED BY SIZE
               CHAT-NAME DELIMITED BY SPACE
               "&content=" DELIMITED BY SIZE
               INTO BODY WITH POINTER AT-BYTE.
           PERFORM VARYING I FROM 1 BY 1 UNTIL I > SIZE-OF
               COMPUTE LOW-DIGIT = FUNCTION ORD (QUESTION (I:1)) - 1
               DIVIDE LOW-DIGIT BY 16
                   GIVING HIGH-DIGIT REMAINDER LOW-DIGIT
               STRING "%" HEXITS (HIGH-DIGIT + 1:1)
                   HEXITS (LOW-DIGIT + 1:1) DELIMITED BY SIZE
                   INTO BODY WITH POINTER AT-BYTE
           END-PERFORM.
           COMPUTE BODY-LENGTH = AT-BYTE - 1.
           MOVE 1 TO AT-BYTE.
           STRING "POST /local/chat?format=text&charset=gbk HTTP/1.0"
               CRLF
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
               COMPUTE ROOM = LENGTH OF ANSWER - AT-BYTE + 1
               CALL "recv" USING BY VALUE SOCKET-NUMBER
                   BY REFERENCE ANSWER (AT-BYTE:1)
                   BY VALUE ROOM 0 RETURNING RESULT
               ADD RESULT TO AT-BYTE
           END-PERFORM.
           CALL "close" USING BY VALUE SOCKET-NUMBER.
