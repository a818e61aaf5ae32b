// What an agent reads out of an engine's output.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace svc::agent {

/// The port an engine says it listens on, anywhere in the line: "start service at ADDRESS:PORT" (InfiniLM-Rust),
/// "Uvicorn running on http://HOST:PORT" (uvicorn), "server is listening on http://HOST:PORT" (llama.cpp). IPv6 in
/// brackets too. 0 counts as none.
[[nodiscard]] std::optional<std::uint16_t> listening_port(std::string_view line);

/// Bytes to lines. A line longer than `limit` is cut there, marked "[cut]" and given at once; the rest up to its end is
/// dropped. "\r\n" and a lone '\r' (progress bars) end a line like '\n'; empty lines are kept, except after '\r'.
/// Control characters (but tabs) and invalid UTF-8 become \xNN.
class LineSplitter {
 public:
  explicit LineSplitter(std::size_t limit = 8192) : limit_(limit) {}
  void take(std::string_view bytes, const std::function<void(std::string_view line)>& each);
  /// The end of the stream: what is left without a line end.
  void finish(const std::function<void(std::string_view line)>& each);
  /// Bytes held of an unfinished line; never above the limit.
  [[nodiscard]] std::size_t held() const { return held_.size(); }

 private:
  using Each = std::function<void(std::string_view line)>;
  void hold(std::string_view piece, const Each& each);
  void end_line(char ending, const Each& each);

  std::size_t limit_;
  std::string held_;
  bool cut_ = false;
  bool after_return_ = false;
};

/// The last lines, each cut at 512 bytes.
class LastLines {
 public:
  explicit LastLines(std::size_t count = 20) : count_(count) {}
  void add(std::string_view line);
  [[nodiscard]] std::vector<std::string> lines() const { return {lines_.begin(), lines_.end()}; }
  [[nodiscard]] std::string_view last() const { return lines_.empty() ? std::string_view() : lines_.back(); }

 private:
  std::size_t count_;
  std::deque<std::string> lines_;
};

}  // namespace svc::agent
