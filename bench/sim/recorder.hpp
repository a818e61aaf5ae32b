// The last requests as they came, for GET /sim/requests.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

namespace svc::sim {

class Recorder {
 public:
  Recorder(std::size_t requests, std::size_t body_bytes) : requests_(requests), body_bytes_(body_bytes) {}

  void add(std::uint64_t connection, std::string_view head, std::string_view body, std::string_view trailer);
  void clear() { entries_.clear(); }

  /// {"total":n,"requests":[{"n","connection","head","body_bytes","body_hash","body","trailer"}]}, the oldest first.
  /// Bytes are written as the characters U+0000 to U+00FF, so that nothing is lost. body_hash: FNV-1a, 64 bits, in
  /// hex; only with --record-body.
  [[nodiscard]] std::string to_json() const;

 private:
  struct Entry {
    std::uint64_t number = 0;
    std::uint64_t connection = 0;
    std::uint64_t body_hash = 0;
    std::size_t body_bytes = 0;
    std::string head;
    std::string body;
    std::string trailer;
  };
  std::size_t requests_;
  std::size_t body_bytes_;
  std::uint64_t total_ = 0;
  std::deque<Entry> entries_;
};

}  // namespace svc::sim
