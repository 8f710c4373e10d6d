/// Converts a folder of photographs, on a pool of Rust workers.
///
/// `dart example/images.dart PHOTOS OUT`
library;

import 'dart:io';

import 'package:insula/insula.dart';

import 'pictures.dart';

Future<void> main(List<String> arguments) async {
  if (arguments.length != 2) {
    stderr.writeln('usage: images.dart PHOTOS OUT');
    exitCode = 2;
    return;
  }
  final [photos, out] = arguments;
  final pool = PicturePool.open('images');
  final stopwatch = Stopwatch()..start();
  final made = await Future.wait([
    for (final file in picturesIn(Directory(photos))) make(pool, file, out),
  ]);
  final elapsed = stopwatch.elapsed;
  pool.close();
  final work = made.fold(Duration.zero, (sum, picture) => sum + picture);
  print('${made.length} pictures in ${elapsed.inMilliseconds} ms, '
      'for which the workers computed ${work.inMilliseconds} ms');
}

List<File> picturesIn(Directory folder) {
  final pattern = RegExp(r'\.(jpe?g|png|webp)$', caseSensitive: false);
  return folder.listSync().whereType<File>().where((file) {
    return pattern.hasMatch(file.path);
  }).toList()
    ..sort((a, b) => a.path.compareTo(b.path));
}

/// Makes one picture, and returns how long a worker took.
Future<Duration> make(PicturePool pool, File file, String out) async {
  final name = file.uri.pathSegments.last;
  final picture = await pool.picture(
    await readIntoBuffer(file),
    name: name,
    size: (800, 600),
    sharpen: 0.3,
  );
  final stem = name.substring(0, name.lastIndexOf('.'));
  final target = File('$out/$stem.${picture.format.name}');
  await target.create(recursive: true);
  await target.writeAsBytes(picture.bytes);
  final (width, height) = picture.size;
  print('$name: ${width}x$height, ${picture.bytes.length} bytes, '
      '${picture.elapsed.inMilliseconds} ms');
  return picture.elapsed;
}

/// Reads the content of a file into memory that moves to the pool.
Future<TransferableBuffer> readIntoBuffer(File file) async {
  final opened = await file.open();
  try {
    final buffer = TransferableBuffer(await opened.length());
    final bytes = buffer.bytes;
    var length = 0;
    while (length < bytes.length) {
      final read = await opened.readInto(bytes, length);
      if (read == 0) throw FileSystemException('it became shorter', file.path);
      length += read;
    }
    return buffer;
  } finally {
    await opened.close();
  }
}
