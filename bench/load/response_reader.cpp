#include "bench/load/response_reader.hpp"

#include <algorithm>
#include <charconv>

#include "common/core/ascii.hpp"

namespace svc::load {
namespace {

constexpr std::string_view kHeadEnd = "\r\n\r\n";

bool same(std::string_view text, std::string_view lower) {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(), [](char left, char right) {
    return (left >= 'A' && left <= 'Z' ? static_cast<char>(left + ('a' - 'A')) : left) == right;
  });
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

template <class Number>
bool read_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

}  // namespace

void ResponseReader::reset() {
  state_ = State::head;
  chunk_ = Chunk::size;
  head_.clear();
  status_ = 0;
  keep_alive_ = true;
  chunked_ = until_close_ = has_length_ = false;
  digits_ = 0;
  left_ = 0;
}

std::size_t ResponseReader::feed(std::string_view bytes, BodySink& sink) {
  std::size_t taken = 0;
  while (taken < bytes.size() && state_ != State::done && state_ != State::broken) {
    const auto rest = bytes.substr(taken);
    if (state_ == State::head) {
      taken += feed_head(rest);
    } else if (chunked_) {
      taken += feed_chunked(rest, sink);
    } else {
      const auto size =
          until_close_ ? rest.size() : static_cast<std::size_t>(std::min<std::uint64_t>(left_, rest.size()));
      sink.on_body(rest.substr(0, size));
      taken += size;
      left_ -= until_close_ ? 0 : size;
      if (!until_close_ && left_ == 0) {
        state_ = State::done;
      }
    }
  }
  return taken;
}

bool ResponseReader::end() {
  if (state_ == State::body && until_close_) {
    state_ = State::done;
  }
  return state_ == State::done;
}

std::size_t ResponseReader::feed_head(std::string_view bytes) {
  // The blank line may lie across two pieces.
  const std::size_t before = head_.size();
  std::string_view head = bytes;
  if (before != 0) {
    head_ += bytes;
    head = head_;
  }
  const auto found = head.find(kHeadEnd, before < kHeadEnd.size() ? 0 : before - kHeadEnd.size() + 1);
  if (found == std::string_view::npos) {
    if (before == 0) {
      head_ = bytes;
    }
    if (head_.size() > kMaxHead) {
      state_ = State::broken;
    }
    return bytes.size();
  }
  const std::size_t taken = found + kHeadEnd.size() - before;
  if (!read_head(head.substr(0, found + 2))) {
    state_ = State::broken;
  } else if (status_ < 200) {
    reset();
  } else {
    begin_body();
  }
  head_.clear();
  return taken;
}

bool ResponseReader::read_head(std::string_view head) {
  // "HTTP/1.1 200 OK"
  if (head.size() < 14 || !head.starts_with("HTTP/1.") || !read_number(head.substr(9, 3), status_) || status_ < 100) {
    return false;
  }
  keep_alive_ = head[7] == '1';
  for (std::size_t at = head.find("\r\n") + 2; at < head.size();) {
    const auto line_end = head.find("\r\n", at);
    if (!read_field(head.substr(at, line_end - at))) {
      return false;
    }
    at = line_end + 2;
  }
  return !(chunked_ && has_length_);
}

bool ResponseReader::read_field(std::string_view line) {
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) {
    return false;
  }
  const auto name = line.substr(0, colon);
  const auto value = trimmed(line.substr(colon + 1));
  if (same(name, "content-length")) {
    has_length_ = true;
    return read_number(value, left_);
  }
  if (same(name, "transfer-encoding")) {
    chunked_ = true;
    return same(value, "chunked");
  }
  if (same(name, "connection")) {
    keep_alive_ = same(value, "keep-alive") || (keep_alive_ && !same(value, "close"));
  }
  return true;
}

void ResponseReader::begin_body() {
  state_ = State::body;
  until_close_ = !chunked_ && !has_length_ && status_ != 204 && status_ != 304;
  if (!chunked_ && !until_close_ && left_ == 0) {
    state_ = State::done;
  }
}

std::size_t ResponseReader::feed_chunked(std::string_view bytes, BodySink& sink) {
  std::size_t at = 0;
  while (at < bytes.size() && state_ == State::body) {
    if (chunk_ != Chunk::data) {
      if (!step(bytes[at++], sink)) {
        state_ = State::broken;
      }
      continue;
    }
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size() - at));
    sink.on_body(bytes.substr(at, size));
    at += size;
    left_ -= size;
    if (left_ == 0) {
      chunk_ = Chunk::data_cr;
    }
  }
  return at;
}

// One byte of the framing; false: it is wrong.
bool ResponseReader::step(char byte, BodySink& sink) {
  switch (chunk_) {
    case Chunk::size:
      if (const int value = hex_value(byte); value >= 0) {
        left_ = left_ * 16 + static_cast<std::uint64_t>(value);
        return ++digits_ <= 15;
      }
      chunk_ = byte == ';' ? Chunk::extension : Chunk::size_lf;
      return digits_ > 0 && (byte == ';' || byte == '\r');
    case Chunk::extension: chunk_ = byte == '\r' ? Chunk::size_lf : Chunk::extension; return byte != '\n';
    case Chunk::size_lf:
      digits_ = 0;
      chunk_ = left_ == 0 ? Chunk::trailer : Chunk::data;
      if (left_ != 0) {
        sink.on_chunk();
      }
      return byte == '\n';
    case Chunk::data: return true;
    case Chunk::data_cr: chunk_ = Chunk::data_lf; return byte == '\r';
    case Chunk::data_lf: chunk_ = Chunk::size; return byte == '\n';
    case Chunk::trailer: chunk_ = byte == '\r' ? Chunk::last_lf : Chunk::trailer_line; return byte != '\n';
    case Chunk::trailer_line: chunk_ = byte == '\n' ? Chunk::trailer : Chunk::trailer_line; return true;
    case Chunk::last_lf: state_ = State::done; return byte == '\n';
  }
  return false;
}

}  // namespace svc::load
