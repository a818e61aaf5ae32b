#include "bench/sim/request_parser.hpp"

#include <algorithm>

#include "common/core/ascii.hpp"
#include "common/core/header_rules.hpp"

namespace svc::sim {
namespace {

constexpr std::size_t kMaxChunkLine = 4096;
constexpr std::size_t kMaxTrailer = 16384;

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7f;
  });
}

}  // namespace

void RequestParser::reset() {
  std::string kept = std::move(decoded_);
  kept.clear();
  const RequestLimits limits = limits_;
  *this = RequestParser(limits);
  decoded_ = std::move(kept);
}

RequestParser::Step RequestParser::refuse(int status, std::string_view why) {
  refusal_ = {status, why};
  return Step::bad;
}

RequestParser::Step RequestParser::parse(std::string_view data) {
  data_ = data;
  if (refusal_.why.data() != nullptr) return Step::bad;
  if (head_done()) return read_body();
  const std::size_t end = data.find("\r\n\r\n", scanned_);
  if (end == std::string_view::npos) {
    scanned_ = data.size() < 3 ? 0 : data.size() - 3;
    if (data.size() > limits_.head_bytes) return refuse(431, "the head is too large");
    // A bare LF would be the end of a line to others; there is no need to wait for the rest.
    return Step::more;
  }
  if (end > limits_.head_bytes) return refuse(431, "the head is too large");
  head_bytes_ = end + 4;
  const Step step = read_head();
  if (step != Step::done) return step;
  const Step body = read_body();
  return body == Step::more ? Step::head : body;
}

RequestParser::Step RequestParser::read_head() {
  std::string_view rest = data_.substr(0, head_bytes_ - 2);
  bool first = true;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos || end == 0 || rest[end - 1] != '\r')
      return refuse(400, "a line ends without CRLF");
    const std::string_view line = rest.substr(0, end - 1);
    rest.remove_prefix(end + 1);
    if (has_control(line)) return refuse(400, "a control character in the head");
    if (!(first ? read_request_line(line) : read_field(line))) return Step::bad;
    first = false;
  }
  if (!http10_ && !has_host_) return refuse(400, "no Host");
  if (has_length_ && chunked_) return refuse(400, "Content-Length and Transfer-Encoding");
  if (http10_ && chunked_) return refuse(400, "Transfer-Encoding in HTTP/1.0");
  if (length_ > limits_.body_bytes) return refuse(413, "the body is too large");
  at_ = head_bytes_;
  return Step::done;
}

bool RequestParser::read_request_line(std::string_view line) {
  const auto bad = [this](int status, std::string_view why) { return refuse(status, why) != Step::bad; };
  method_bytes_ = std::min(line.find(' '), line.size());
  const std::string_view method = line.substr(0, method_bytes_);
  if (!is_token(method) || method.size() == line.size()) return bad(400, "bad method");
  std::string_view rest = line.substr(method_bytes_ + 1);
  target_bytes_ = std::min(rest.find(' '), rest.size());
  const std::string_view target = rest.substr(0, target_bytes_);
  if (target.empty() || (target.front() != '/' && target != "*")) return bad(400, "bad target");
  rest.remove_prefix(target_bytes_);
  if (rest == " HTTP/1.0") {
    http10_ = true;
    keep_alive_ = false;
  } else if (rest != " HTTP/1.1") {
    return bad(rest.starts_with(" HTTP/") ? 505 : 400, "bad version");
  }
  return true;
}

bool RequestParser::read_field(std::string_view line) {
  const auto bad = [this](int status, std::string_view why) { return refuse(status, why) != Step::bad; };
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return bad(400, "bad field");
  const std::string_view name = line.substr(0, colon);
  const auto value = [&] { return trim_blanks(line.substr(colon + 1)); };
  switch (name.size()) {
    case 4:
      if (!equal_ignoring_case(name, "host")) break;
      if (has_host_ || value().empty()) return bad(400, "bad Host");
      has_host_ = true;
      break;
    case 6:
      if (equal_ignoring_case(name, "expect")) expects_continue_ = equal_ignoring_case(value(), "100-continue");
      break;
    case 10:
      if (!equal_ignoring_case(name, "connection")) break;
      if (equal_ignoring_case(value(), "close")) keep_alive_ = false;
      if (equal_ignoring_case(value(), "keep-alive")) keep_alive_ = true;
      break;
    case 14: {
      if (!equal_ignoring_case(name, "content-length")) break;
      const std::string_view digits = value();
      if (has_length_ || digits.empty() || digits.size() > 18) return bad(400, "bad Content-Length");
      for (const char c : digits) {
        if (!is_digit(c)) return bad(400, "bad Content-Length");
        length_ = length_ * 10 + static_cast<std::size_t>(c - '0');
      }
      has_length_ = true;
      break;
    }
    case 17:
      if (!equal_ignoring_case(name, "transfer-encoding")) break;
      if (chunked_ || !equal_ignoring_case(value(), "chunked")) return bad(400, "bad Transfer-Encoding");
      chunked_ = true;
      break;
    default: break;
  }
  return true;
}

RequestParser::Step RequestParser::read_body() {
  if (chunked_) return read_chunks();
  if (data_.size() - head_bytes_ < length_) return Step::more;
  end_ = trailer_at_ = head_bytes_ + length_;
  return Step::done;
}

RequestParser::Step RequestParser::read_chunks() {
  while (true) {
    const std::string_view rest = data_.substr(at_);
    if (chunk_state_ == ChunkState::data) {
      const std::size_t part = std::min(chunk_left_, rest.size());
      decoded_.append(rest.substr(0, part));
      at_ += part;
      chunk_left_ -= part;
      if (chunk_left_ > 0) return Step::more;
      chunk_state_ = ChunkState::data_end;
      continue;
    }
    const std::size_t limit = chunk_state_ == ChunkState::trailer ? kMaxTrailer : kMaxChunkLine;
    const std::size_t line_end = rest.substr(0, limit).find('\n');
    if (line_end == std::string_view::npos) return rest.size() < limit ? Step::more : refuse(400, "an endless line");
    if (line_end == 0 || rest[line_end - 1] != '\r') return refuse(400, "a chunk's line ends without CRLF");
    const std::string_view line = rest.substr(0, line_end - 1);
    at_ += line_end + 1;
    if (has_control(line)) return refuse(400, "a control character in a chunk's line");
    if (chunk_state_ == ChunkState::size) {
      if (!read_chunk_line(line)) return Step::bad;
    } else if (chunk_state_ == ChunkState::data_end) {
      if (!line.empty()) return refuse(400, "a chunk is longer than its size");
      chunk_state_ = ChunkState::size;
    } else if (line.empty()) {
      end_ = at_;
      return Step::done;
    } else if (at_ - trailer_at_ > kMaxTrailer || !is_token(line.substr(0, line.find(':')))) {
      return refuse(400, "bad trailer");
    }
  }
}

bool RequestParser::read_chunk_line(std::string_view line) {
  std::size_t size = 0;
  std::size_t digits = 0;
  for (; digits < line.size() && hex_value(line[digits]) >= 0; ++digits) {
    if (digits >= 15) return refuse(400, "bad chunk size") != Step::bad;
    size = size * 16 + static_cast<std::size_t>(hex_value(line[digits]));
  }
  if (digits == 0 || (digits < line.size() && line[digits] != ';')) return refuse(400, "bad chunk size") != Step::bad;
  if (size > limits_.body_bytes - decoded_.size()) return refuse(413, "the body is too large") != Step::bad;
  chunk_left_ = size;
  chunk_state_ = size > 0 ? ChunkState::data : ChunkState::trailer;
  if (size == 0) trailer_at_ = at_;
  return true;
}

}  // namespace svc::sim
