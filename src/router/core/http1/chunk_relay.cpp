#include "router/core/http1/chunk_relay.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "common/core/raw_head.hpp"
#include "router/core/http1/byte_scan.hpp"

namespace svc::router {
namespace {

constexpr unsigned kMaxSizeDigits = 16;
constexpr std::uint64_t kMaxChunkBytes = INT64_MAX;
constexpr std::size_t kKeptPieces = 64;
constexpr std::string_view kLastChunk = "0\r\n\r\n";
constexpr std::uint8_t kNoDigit = 0xff;

constexpr auto kHexDigits = [] {
  std::array<std::uint8_t, 256> values{};
  values.fill(kNoDigit);
  for (unsigned i = 0; i < 10; ++i) values['0' + i] = static_cast<std::uint8_t>(i);
  for (unsigned i = 0; i < 6; ++i) values['a' + i] = values['A' + i] = static_cast<std::uint8_t>(10 + i);
  return values;
}();

std::size_t distance(const char* from, const char* to) { return static_cast<std::size_t>(to - from); }

void append_chunk(std::string& out, std::string_view payload) {
  append_chunk_size(out, payload.size());
  out.append(payload).append("\r\n");
}

}  // namespace

/// One call of take().
struct ChunkRelay::Pass {
  bool as_is = false;              ///< what came up to `boundary` may be sent as it is
  const char* boundary = nullptr;  ///< the last place between chunks, or the end of the body
  std::size_t pieces_before = 0;   ///< pieces of payload up to the boundary

  void reach(const char* place, std::size_t pieces) {
    boundary = place;
    pieces_before = pieces;
  }
};

ChunkRelay::Step ChunkRelay::take(std::string_view in, std::string& reframed) {
  // A burst of tiny chunks must not leave every idle stream with a large list.
  if (payload_.capacity() > kKeptPieces && payload_.size() <= payload_.capacity() / 4) payload_ = {};
  payload_.clear();
  reframed.clear();
  const char* const end = in.data() + in.size();
  const char* at = in.data();
  Pass pass{between_chunks(), at, 0};
  while (at != end && state_ == State::open) at = step(at, end, pass);
  Step result;
  result.consumed = distance(in.data(), at);
  result.state = state_;
  write(pass, in, reframed, result);
  result.payload = payload_;
  return result;
}

/// Takes at least one byte, unless it breaks.
const char* ChunkRelay::step(const char* at, const char* end, Pass& pass) {
  switch (at_) {
    case At::size: return read_size(at, end);
    case At::extension: pass.as_is = false; return read_extension(at, end);
    case At::size_lf: digits_ = 0; return expect('\n', left_ == 0 ? At::trailer_start : At::data, at);
    case At::data: return read_data(at, end);
    case At::data_cr: return expect('\r', At::data_lf, at);
    case At::data_lf:
      at = expect('\n', At::size, at);
      if (state_ == State::open) pass.reach(at, payload_.size());
      return at;
    case At::trailer_start:
      if (*at == '\r') return expect('\r', At::end_lf, at);
      pass.as_is = false;
      at_ = At::trailer_name;
      if (!is_token_char(*at)) state_ = State::broken;  // no name, or a folded line
      return at;
    case At::trailer_name:
    case At::trailer_value: return read_trailer(at, end);
    case At::trailer_lf: return expect('\n', At::trailer_start, at);
    case At::end_lf:
      at = expect('\n', At::end_lf, at);
      if (state_ == State::open) {
        state_ = State::done;
        pass.reach(at, payload_.size());
      }
      return at;
  }
  return at;
}

const char* ChunkRelay::expect(char wanted, At next, const char* at) {
  if (*at != wanted) {
    state_ = State::broken;
    return at;
  }
  at_ = next;
  return at + 1;
}

const char* ChunkRelay::read_size(const char* at, const char* end) {
  for (; at != end; ++at) {
    const std::uint8_t digit = kHexDigits[static_cast<unsigned char>(*at)];
    if (digit == kNoDigit) break;
    if (++digits_ > kMaxSizeDigits) {
      state_ = State::broken;
      return at;
    }
    left_ = left_ << 4U | digit;  // 16 digits fit
  }
  if (at == end) return at;
  if (digits_ == 0 || left_ > kMaxChunkBytes || (*at != '\r' && *at != ';')) {
    state_ = State::broken;
    return at;
  }
  at_ = *at == ';' ? At::extension : At::size_lf;
  if (*at == ';') ++extension_bytes_;
  return at + 1;
}

const char* ChunkRelay::read_extension(const char* at, const char* end) {
  const void* const found = std::memchr(at, '\r', distance(at, end));
  const char* const stop = found == nullptr ? end : static_cast<const char*>(found);
  extension_bytes_ += distance(at, stop);
  if (extension_bytes_ > kMaxExtensionBytes || !allowed_chunk_extension({at, distance(at, stop)})) {
    state_ = State::broken;
    return at;
  }
  if (stop == end) return end;
  at_ = At::size_lf;
  return stop + 1;
}

const char* ChunkRelay::read_data(const char* at, const char* end) {
  const std::size_t size = std::min<std::uint64_t>(left_, distance(at, end));
  payload_.emplace_back(at, size);
  payload_bytes_ += size;
  left_ -= size;
  if (left_ == 0) at_ = At::data_cr;
  return at + size;
}

const char* ChunkRelay::read_trailer(const char* at, const char* end) {
  const bool name = at_ == At::trailer_name;
  const char* const stop = name ? find_end_of<TokenBytes>(at, end) : find_end_of<ValueBytes>(at, end);
  trailer_bytes_ += distance(at, stop);
  if (trailer_bytes_ > kMaxTrailerBytes || (stop != end && *stop != (name ? ':' : '\r'))) {
    state_ = State::broken;
    return at;
  }
  if (stop == end) return end;
  at_ = name ? At::trailer_value : At::trailer_lf;
  ++trailer_bytes_;
  return stop + 1;
}

void ChunkRelay::write(const Pass& pass, std::string_view in, std::string& reframed, Step& result) const {
  if (output_ == Output::plain) {
    if (payload_.size() == 1) {
      result.out = payload_.front();
      return;
    }
    for (const std::string_view piece : payload_) reframed.append(piece);
    result.out = reframed;
    return;
  }
  std::size_t written = 0;
  if (pass.as_is) {
    const std::string_view whole = in.substr(0, distance(in.data(), pass.boundary));
    if (pass.pieces_before == payload_.size()) {
      result.out = whole;
      return;
    }
    reframed.append(whole);
    written = pass.pieces_before;
  }
  for (; written < payload_.size(); ++written) append_chunk(reframed, payload_[written]);
  if (state_ == State::done) reframed.append(kLastChunk);
  result.out = reframed;
}

void append_chunk_size(std::string& out, std::uint64_t bytes) {
  char digits[16];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, bytes, 16).ptr).append("\r\n");
}

}  // namespace svc::router
