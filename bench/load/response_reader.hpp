// Reads HTTP/1 answers as they come, with no code of the programs that are measured: a fault that both shared would not
// show.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace svc::load {

/// Where the body goes.
class BodySink {
 public:
  /// A chunk of a chunked body begins.
  virtual void on_chunk() = 0;
  virtual void on_body(std::string_view piece) = 0;

 protected:
  ~BodySink() = default;
};

class ResponseReader {
 public:
  enum class State : std::uint8_t { head, body, done, broken };

  /// For the next answer.
  void reset();
  /// Returns how many bytes it took: fewer than all only when done or broken. Informational answers (1xx) are skipped.
  std::size_t feed(std::string_view bytes, BodySink& sink);
  /// The connection was closed; true when that is where the body ends.
  bool end();

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] bool keep_alive() const { return keep_alive_; }
  /// Nothing of the answer has come yet.
  [[nodiscard]] bool untouched() const { return state_ == State::head && head_.empty(); }

 private:
  enum class Chunk : std::uint8_t { size, extension, size_lf, data, data_cr, data_lf, trailer, trailer_line, last_lf };

  std::size_t feed_head(std::string_view bytes);
  bool read_head(std::string_view head);
  bool read_field(std::string_view line);
  void begin_body();
  std::size_t feed_chunked(std::string_view bytes, BodySink& sink);
  bool step(char byte, BodySink& sink);

  static constexpr std::size_t kMaxHead = 64 * 1024;

  State state_ = State::head;
  Chunk chunk_ = Chunk::size;
  std::string head_;  // when it comes in pieces
  int status_ = 0;
  bool keep_alive_ = true;
  bool chunked_ = false;
  bool until_close_ = false;
  bool has_length_ = false;
  unsigned digits_ = 0;
  std::uint64_t left_ = 0;  // of the body, or of the chunk
};

}  // namespace svc::load
