// What only the bytes of a request head tell, and a parser hides: folded lines, the version as written, absolute targets.
#pragma once

#include <string_view>

namespace svc {

/// A field line that is continued on the next (RFC 9112 section 5.2, obsolete). Parsers join such lines differently, so
/// they are refused. `head` may go on after the blank line that ends it.
[[nodiscard]] bool has_folded_line(std::string_view head);

/// Does the request line end in a well-formed HTTP version ("HTTP/" digit "." digit), whichever it is? Tells "a version
/// that we do not speak" (505) from "not HTTP" (400).
[[nodiscard]] bool names_http_version(std::string_view head);

/// "http://host:port/path?query" -> "/path?query" (RFC 9112 section 3.2.2); other targets as they are. "" when the
/// authority is not valid.
[[nodiscard]] std::string_view origin_form(std::string_view target);

/// May a chunk carry this extension (RFC 9112 section 7.1.1)? `extension` begins at the ';' or is empty. Control characters
/// are refused: inside quotes some parsers take a bare LF as data and others as the end of the line, and then they disagree
/// about where the message ends.
[[nodiscard]] bool allowed_chunk_extension(std::string_view extension);

}  // namespace svc
