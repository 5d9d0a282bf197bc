-- Who repeats a refresh, because the answer was lost or two pages asked at once, gets the same next
-- token: it is derived from the one that was used and this salt. Neither gives it alone.
ALTER TABLE gateway.refresh_token ADD COLUMN next_salt bytea;
