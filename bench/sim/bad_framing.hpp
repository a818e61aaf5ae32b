// Answers that no server should give, by name: what a proxy must refuse, or must not be led astray by.
#pragma once

#include <string>
#include <string_view>

namespace svc::sim {

struct BadFraming {
  std::string_view name;
  std::string_view head;  ///< "%" stands for the length of the body; CRLF is written "\r\n" as it goes out
  std::string_view body;  ///< "%" stands for the JSON that a good answer would have had
  bool close = true;      ///< hang up afterwards
};

/// nullptr: no such name.
const BadFraming* find_framing(std::string_view name);
/// All of them, separated by ", ".
std::string framing_names();
/// The bytes.
std::string render(const BadFraming& framing, std::string_view json);

/// Is it sent when the request's head is there, before its body?
inline bool is_early(const BadFraming& framing) { return framing.name.starts_with("early_"); }

}  // namespace svc::sim
