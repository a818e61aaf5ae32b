#include "agent/core/engine_lines.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "common/core/json_text.hpp"

namespace svc::agent {
namespace {

constexpr std::string_view kCutMark = "[cut]";
constexpr std::size_t kLastLineLimit = 512;

bool plain(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte >= 0x20 && byte < 0x7f) || c == '\t';
}

/// Length of the whole character (beyond ASCII, no C1 control) at the start of `text`; 0 when there is none.
std::size_t character_length(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  if (first < 0xc2 || first > 0xf4) return 0;
  const std::size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  const std::string_view character = text.substr(0, length);
  if (character.size() < length || valid_utf8(character) != character) return 0;
  // U+0080 to U+009F steer terminals as ESC sequences do.
  if (first == 0xc2 && static_cast<unsigned char>(character[1]) < 0xa0) return 0;
  return length;
}

void append_byte(std::string& out, unsigned char byte) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  out += "\\x";
  out += kDigits[byte >> 4U];
  out += kDigits[byte & 15U];
}

std::string readable(std::string_view line) {
  std::string out;
  out.reserve(line.size() + 16);
  while (!line.empty()) {
    std::size_t run = 0;
    while (run < line.size() && plain(line[run])) ++run;
    out.append(line.substr(0, run));
    line.remove_prefix(run);
    if (line.empty()) break;
    const std::size_t length = character_length(line);
    if (length == 0) {
      append_byte(out, static_cast<unsigned char>(line.front()));
    } else {
      out.append(line.substr(0, length));
    }
    line.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

void give(std::string_view line, const std::function<void(std::string_view)>& each) {
  if (std::all_of(line.begin(), line.end(), plain)) {
    each(line);
  } else {
    each(readable(line));
  }
}

/// The port that ends the authority at the start of `text`: "0.0.0.0:8000", "[::1]:8000", "localhost:8000/".
std::optional<std::uint16_t> authority_port(std::string_view text) {
  const std::string_view authority = text.substr(0, text.find_first_of(" \t/\\,;()'\"<>"));
  const std::size_t colon = authority.rfind(':');
  if (colon == 0 || colon == std::string_view::npos) return std::nullopt;
  // A bare "::1" has no port: its colons are the address's own.
  if (authority.front() == '[' && authority[colon - 1] != ']') return std::nullopt;
  const std::string_view digits = authority.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  // What follows the number may be a full stop; a digit more would have been an overflow.
  if (failure != std::errc() || port == 0 || end == digits.data()) return std::nullopt;
  if (end != digits.data() + digits.size() && *end != '.') return std::nullopt;
  return port;
}

}  // namespace

std::optional<std::uint16_t> listening_port(std::string_view line) {
  struct Announcement {
    std::string_view words;
    bool url;
  };
  static constexpr std::array<Announcement, 3> kAnnouncements{{
      {"start service at ", false},
      {"Uvicorn running on ", true},
      {"server is listening on ", true},
  }};
  for (const Announcement& announcement : kAnnouncements) {
    const std::size_t found = line.find(announcement.words);
    if (found == std::string_view::npos) continue;
    std::string_view rest = line.substr(found + announcement.words.size());
    if (announcement.url) {
      // Within the next word, whose start may be a colour code (escaped by then).
      const std::size_t scheme = rest.substr(0, rest.find(' ')).find("://");
      if (scheme == std::string_view::npos) continue;
      rest.remove_prefix(scheme + 3);
    }
    if (const auto port = authority_port(rest)) return port;
  }
  return std::nullopt;
}

void LineSplitter::take(std::string_view bytes, const Each& each) {
  // Each of the two line ends is searched for once, not anew for every line.
  std::size_t newline = bytes.find('\n');
  std::size_t carriage_return = bytes.find('\r');
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::size_t end = std::min({newline, carriage_return, bytes.size()});
    const std::string_view piece = bytes.substr(at, end - at);
    if (!piece.empty()) after_return_ = false;
    if (end == bytes.size()) {
      hold(piece, each);
      return;
    }
    if (held_.empty() && !cut_ && !piece.empty() && piece.size() <= limit_) {
      give(piece, each);  // the usual line, never copied
      after_return_ = bytes[end] == '\r';
    } else {
      hold(piece, each);
      end_line(bytes[end], each);
    }
    at = end + 1;
    std::size_t& passed = bytes[end] == '\n' ? newline : carriage_return;
    passed = bytes.find(bytes[end], at);
  }
}

void LineSplitter::hold(std::string_view piece, const Each& each) {
  if (cut_) return;
  const std::size_t room = limit_ - held_.size();
  held_.append(piece.substr(0, room));
  if (piece.size() <= room) return;
  // Given now, not at its end, which may never come.
  held_ += kCutMark;
  give(held_, each);
  held_.clear();
  cut_ = true;
}

void LineSplitter::end_line(char ending, const Each& each) {
  if (cut_) {
    cut_ = false;
  } else if (!held_.empty() || !after_return_) {
    give(held_, each);
  }
  held_.clear();
  after_return_ = ending == '\r';
}

void LineSplitter::finish(const Each& each) {
  if (!held_.empty()) give(held_, each);
  held_.clear();
  cut_ = false;
  after_return_ = false;
}

void LastLines::add(std::string_view line) {
  if (count_ == 0) return;
  if (line.size() > kLastLineLimit) {
    std::size_t end = kLastLineLimit;
    while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xc0U) == 0x80U) --end;
    line = line.substr(0, end);
  }
  if (lines_.size() < count_) {
    lines_.emplace_back(line);
    return;
  }
  // The oldest text's memory serves the newest.
  std::string oldest = std::move(lines_.front());
  lines_.pop_front();
  oldest.assign(line);
  lines_.push_back(std::move(oldest));
}

}  // namespace svc::agent
