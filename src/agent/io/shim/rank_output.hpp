// One pipe of one rank: its stdout or its stderr.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string_view>

#include "agent/core/engine_lines.hpp"
#include "common/io/unique_fd.hpp"

namespace svc::agent {

class RankOutput {
 public:
  using Sink = std::function<void(std::string_view line)>;

  RankOutput(int fd, Sink sink) : fd_(fd), sink_(std::move(sink)) {}

  [[nodiscard]] int fd() const { return fd_.get(); }  ///< -1: closed
  /// Reads what is there, at most `most` bytes; returns how many. `buffer` is only used meanwhile. The pipe is closed
  /// at its end.
  std::size_t read(std::span<char> buffer, std::size_t most);
  /// Hands on an unfinished line: its writer has ended.
  void finish_line() { lines_.finish(sink_); }

 private:
  UniqueFd fd_;
  LineSplitter lines_;
  Sink sink_;
};

}  // namespace svc::agent
