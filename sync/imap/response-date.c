/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <strings.h>

#include "sync/base/xalloc.h"
#include "sync/imap/response.h"

/* Exactly n digits; false when there are others. */
static bool parse_digits(const char *text, size_t n, int *ret)
{
	int value = 0;

	for (size_t i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (text[i] - '0');
	}
	*ret = value;
	return true;
}

static bool parse_month(const char *text, int *ret)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int month = 0; month < 12; month++) {
		if (strncasecmp(names + (size_t)(3 * month), text, 3) == 0) {
			*ret = month;
			return true;
		}
	}
	return false;
}

static bool is_date(const struct tm *tm)
{
	static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year = tm->tm_year + 1900;
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	if (tm->tm_mday < 1 || tm->tm_mday > days[tm->tm_mon])
		return false;
	return tm->tm_mon != 1 || tm->tm_mday <= 28 || leap;
}

/* date-day-fixed; some servers leave out the space in front of a single digit. */
static bool parse_day(struct slice *text, int *ret)
{
	size_t digits = text->len > 1 && text->data[1] == '-' ? 1 : 2;

	if (text->len > 0 && text->data[0] == ' ') {
		text->data++;
		text->len--;
		digits = 1;
	}
	if (text->len < digits || !parse_digits(text->data, digits, ret))
		return false;
	text->data += digits;
	text->len -= digits;
	return true;
}

bool response_parse_date(struct slice text, time_t *ret)
{
	/* Positions in what follows the day: "-Feb-1994 21:52:25 -0800" */
	enum { MONTH = 1, YEAR = 5, HOUR = 10, MINUTE = 13, SECOND = 16, SIGN = 19, LEN = 24 };
	int zone_hours, zone_minutes, year, offset;
	struct tm tm = {0};
	const char *s;

	if (!parse_day(&text, &tm.tm_mday) || text.len != LEN)
		return false;
	s = text.data;
	if (s[0] != '-' || s[YEAR - 1] != '-' || s[HOUR - 1] != ' ' || s[MINUTE - 1] != ':' ||
		s[SECOND - 1] != ':' || s[SIGN - 1] != ' ' || (s[SIGN] != '+' && s[SIGN] != '-'))
		return false;
	if (!parse_month(s + MONTH, &tm.tm_mon) || !parse_digits(s + YEAR, 4, &year) ||
		!parse_digits(s + HOUR, 2, &tm.tm_hour) ||
		!parse_digits(s + MINUTE, 2, &tm.tm_min) ||
		!parse_digits(s + SECOND, 2, &tm.tm_sec) ||
		!parse_digits(s + SIGN + 1, 2, &zone_hours) ||
		!parse_digits(s + SIGN + 3, 2, &zone_minutes))
		return false;
	tm.tm_year = year - 1900;
	if (!is_date(&tm) || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60 ||
		zone_minutes > 59)
		return false;
	offset = (zone_hours * 60 + zone_minutes) * 60;
	*ret = timegm(&tm) - (s[SIGN] == '-' ? -offset : offset);
	return true;
}
