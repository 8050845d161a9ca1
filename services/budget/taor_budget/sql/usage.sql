-- An equal share of a whole number, for the nth of some, from 1: the shares add up to it, the first get what is left over.
CREATE OR REPLACE FUNCTION usage_share(p_whole bigint, p_among integer, p_nth bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN p_whole / p_among + (p_nth <= p_whole % p_among)::integer;
