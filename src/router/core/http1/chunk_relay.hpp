// A chunked body on its way through: framing is checked byte by byte, pieces that are whole chunks pass as they came,
// and a piece that ends inside a chunk is sent as a chunk of its own. So the outgoing stream is at a chunk's end
// after every call, and can be ended with an error event or be cut visibly at any time. Chunk extensions and trailer
// fields are checked and not passed on. Also used to read chunked request bodies.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace svc::router {

class ChunkRelay {
 public:
  enum class Output : std::uint8_t {
    chunked,  ///< for an HTTP/1.1 peer
    plain,    ///< the payload alone: an HTTP/1.0 client, a request body that is gathered
  };
  enum class State : std::uint8_t { open, done, broken };

  explicit ChunkRelay(Output output = Output::chunked) : output_(output) {}

  struct Step {
    std::string_view out;  ///< to be sent; lies in `in` or in `reframed`
    std::size_t consumed =
        0;  ///< of `in`; less than all only at the end of the body (the rest is another message) or when broken
    State state = State::open;
    std::span<const std::string_view> payload;  ///< pieces of content in `in`, in order; valid until the next call
  };

  /// Takes all of `in` (an empty one is legal and yields nothing). `reframed` is cleared and used when the bytes
  /// cannot pass as they are. After done or broken it must not be called again. Broken: a size that is not 1 to 16
  /// hexadecimal digits or above 2^63-1 (blanks after it are refused too), a bare LF or CR, an extension that
  /// common/core/raw_head.hpp refuses, more than kMaxExtensionBytes of extensions in all, a trailer section over
  /// kMaxTrailerBytes or with malformed fields, data not followed by CRLF. When broken, `out` holds what was good
  /// before.
  Step take(std::string_view in, std::string& reframed);

  [[nodiscard]] std::uint64_t payload_bytes() const { return payload_bytes_; }
  [[nodiscard]] State state() const { return state_; }

  static constexpr std::size_t kMaxExtensionBytes = 4 * 1024;
  static constexpr std::size_t kMaxTrailerBytes = 8 * 1024;

 private:
  enum class At : std::uint8_t {
    size,
    extension,
    size_lf,
    data,
    data_cr,
    data_lf,
    trailer_start,
    trailer_name,
    trailer_value,
    trailer_lf,
    end_lf,
  };
  struct Pass;

  [[nodiscard]] bool between_chunks() const { return at_ == At::size && digits_ == 0; }
  const char* step(const char* at, const char* end, Pass& pass);
  const char* read_size(const char* at, const char* end);
  const char* read_extension(const char* at, const char* end);
  const char* read_data(const char* at, const char* end);
  const char* read_trailer(const char* at, const char* end);
  const char* expect(char wanted, At next, const char* at);
  void write(const Pass& pass, std::string_view in, std::string& reframed, Step& result) const;

  Output output_;
  State state_ = State::open;
  At at_ = At::size;
  std::uint64_t payload_bytes_ = 0;
  std::uint64_t left_ = 0;  // of the present chunk
  unsigned digits_ = 0;     // of the size that is being read
  std::size_t extension_bytes_ = 0;
  std::size_t trailer_bytes_ = 0;
  std::vector<std::string_view> payload_;
};

/// "1a\r\n" for a chunk of 26 bytes.
void append_chunk_size(std::string& out, std::uint64_t bytes);

}  // namespace svc::router
