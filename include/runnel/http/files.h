#pragma once
// Files, and answers that are compressed.

#include <string>
#include <string_view>

#include "runnel/http/mux.h"

namespace runnel::http {

// Serves the files below a directory. The path is that of the request, or, with "/{path...}", the wildcard `path`:
//
//   server.handle("GET /static/{path...}", http::file_server("/srv/www"));
//
// Answers Range (one), If-None-Match, If-Modified-Since, If-Range; ETag and Last-Modified; for a directory its index.html, after a
// redirection to the path with a slash. No way leads out of the directory, not by symbolic links either; files that begin with
// a dot are not there. Other methods than GET and HEAD are answered with 405, what is not there or may not be read with 404.
// Throws runtime_error where there is no such directory; it is held open, so that it may be renamed.
handler file_server(const std::string& directory);

// One file, as file_server does, by its path in the file system, which is trusted; for handlers that find out themselves which.
void serve_file(request& req, response& res, const std::string& path);

// "text/html; charset=utf-8" for "index.html", by what stands after the dot; "application/octet-stream" if
// that is unknown.
std::string_view type_of_file(std::string_view name) noexcept;

// Middleware: compresses what clients accept compressed, if it is text of some size and its handler has set no
// Content-Encoding. Where Runnel is built without zlib, nothing is.
//
//   server.use(http::gzip);
handler gzip(handler next);

}  // namespace runnel::http
