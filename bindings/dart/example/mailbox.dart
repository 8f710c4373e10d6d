/// One isolate sends requests to another and waits for its answers, without
/// event loops.
///
/// `dart example/mailbox.dart`
library;

import 'dart:convert';

import 'package:insula/insula.dart';

Future<void> main() async {
  final (requester, responder) = Requester.open();

  void request(String message) {
    print('sending $message');
    final response = requester.request(ascii.encode(message));
    print('got back: ${ascii.decode(response)}');
  }

  final worker = Insula.run(work, responder, parties: [responder]);
  for (var i = 0; i < 5; i++) {
    request('request #$i');
  }
  request('exit');
  await worker;
  requester.release();
}

void work(int handle) {
  print('Isolate is running');
  final responder = Responder.fromHandle(handle);
  responder.messageLoop((message) {
    final text = ascii.decode(message);
    if (text == 'exit') responder.stop();
    print('got $text from mailbox, responding');
    return ascii.encode('response($text)');
  });
  responder.release();
  print('Isolate is done');
}
