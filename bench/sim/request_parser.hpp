// Reads one HTTP/1.x request from a buffer that grows. On purpose not the parser of the daemons: what they send is
// judged by somebody else. Strict about lines, framing and Host; linear; everything is bounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace svc::sim {

struct RequestLimits {
  std::size_t head_bytes = 64U << 10U;
  std::size_t body_bytes = 64U << 20U;
};

class RequestParser {
 public:
  enum class Step {
    more,  ///< call again when more has come
    head,  ///< the head is there, the body not yet; told once
    done,  ///< everything is there
    bad,   ///< refusal() says what to answer; then close
  };
  struct Refusal {
    int status = 400;
    std::string_view why;
  };

  explicit RequestParser(const RequestLimits& limits) : limits_(limits) {}

  /// `data` begins with the request's first byte in every call, and only grows.
  Step parse(std::string_view data);
  /// For the next request.
  void reset();

  // From Step::head on. The views are of `data` as it was given to the latest call of parse().
  [[nodiscard]] std::string_view method() const { return data_.substr(0, method_bytes_); }
  [[nodiscard]] std::string_view target() const { return data_.substr(method_bytes_ + 1, target_bytes_); }
  [[nodiscard]] std::string_view path() const { return target().substr(0, target().find('?')); }
  [[nodiscard]] std::string_view head() const { return data_.substr(0, head_bytes_); }
  [[nodiscard]] bool keep_alive() const { return keep_alive_; }
  [[nodiscard]] bool expects_continue() const { return expects_continue_; }
  [[nodiscard]] bool http10() const { return http10_; }

  // From Step::done on.
  [[nodiscard]] std::string_view body() const {
    return chunked_ ? std::string_view(decoded_) : data_.substr(head_bytes_, length_);
  }
  [[nodiscard]] std::string_view trailer() const { return data_.substr(trailer_at_, end_ - trailer_at_); }
  [[nodiscard]] std::size_t consumed() const { return end_; }

  [[nodiscard]] bool head_done() const { return head_bytes_ != 0; }
  /// How many bytes the whole request has, when that is known: for a buffer of the right size.
  [[nodiscard]] std::size_t expected() const { return head_done() && !chunked_ ? head_bytes_ + length_ : 0; }
  [[nodiscard]] const Refusal& refusal() const { return refusal_; }

 private:
  Step refuse(int status, std::string_view why);
  Step read_head();
  bool read_request_line(std::string_view line);
  bool read_field(std::string_view line);
  Step read_body();
  Step read_chunks();
  bool read_chunk_line(std::string_view line);

  RequestLimits limits_;
  std::string_view data_;
  Refusal refusal_;
  std::size_t scanned_ = 0;  ///< no end of the head before this
  std::size_t head_bytes_ = 0;
  std::size_t method_bytes_ = 0;
  std::size_t target_bytes_ = 0;
  std::size_t length_ = 0;
  std::size_t end_ = 0;
  bool has_length_ = false;
  bool has_host_ = false;
  bool chunked_ = false;
  bool http10_ = false;
  bool keep_alive_ = true;
  bool expects_continue_ = false;

  enum class ChunkState { size, data, data_end, trailer };
  ChunkState chunk_state_ = ChunkState::size;
  std::size_t at_ = 0;  ///< first byte of the chunked body that was not looked at
  std::size_t chunk_left_ = 0;
  std::size_t trailer_at_ = 0;
  std::string decoded_;
};

}  // namespace svc::sim
