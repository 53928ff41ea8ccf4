SET client_encoding = 'UTF8';
SET check_function_bodies = false;
SET search_path = '';

-- type permission_level
CREATE TYPE public.permission_level AS ENUM (
    'read',
    'write',
    'admin'
);

-- table type
CREATE TABLE public.type (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    type_name character varying(100) NOT NULL,
    CONSTRAINT ck_type_type_name_not_empty CHECK (((type_name)::text <> ''::text))
);
ALTER TABLE ONLY public.type
    ADD CONSTRAINT pk_type PRIMARY KEY (id);
ALTER TABLE ONLY public.type
    ADD CONSTRAINT uq_type_type_name UNIQUE (type_name);

-- table object
CREATE TABLE public.object (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    name character varying(255) NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    type uuid NOT NULL,
    created_on timestamp with time zone DEFAULT now() NOT NULL,
    created_by character varying(100),
    CONSTRAINT ck_object_created_on_range CHECK (((EXTRACT(year FROM (created_on AT TIME ZONE 'UTC'::text)) >= (1)::numeric) AND (EXTRACT(year FROM (created_on AT TIME ZONE 'UTC'::text)) <= (9999)::numeric))),
    CONSTRAINT ck_object_name_not_empty CHECK (((name)::text <> ''::text))
);
ALTER TABLE ONLY public.object
    ADD CONSTRAINT pk_object PRIMARY KEY (id);
ALTER TABLE ONLY public.object
    ADD CONSTRAINT fk_object_type_type FOREIGN KEY (type) REFERENCES public.type(id);
CREATE INDEX ix_object_lower_name ON public.object USING btree (lower((name)::text));

-- table attributes
CREATE TABLE public.attributes (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    object uuid NOT NULL,
    name character varying(100) NOT NULL,
    value jsonb,
    created_on timestamp with time zone DEFAULT now() NOT NULL,
    updated_on timestamp with time zone,
    CONSTRAINT ck_attributes_created_on_range CHECK (((EXTRACT(year FROM (created_on AT TIME ZONE 'UTC'::text)) >= (1)::numeric) AND (EXTRACT(year FROM (created_on AT TIME ZONE 'UTC'::text)) <= (9999)::numeric))),
    CONSTRAINT ck_attributes_name_not_empty CHECK (((name)::text <> ''::text)),
    CONSTRAINT ck_attributes_updated_on_range CHECK (((EXTRACT(year FROM (updated_on AT TIME ZONE 'UTC'::text)) >= (1)::numeric) AND (EXTRACT(year FROM (updated_on AT TIME ZONE 'UTC'::text)) <= (9999)::numeric)))
);
ALTER TABLE ONLY public.attributes
    ADD CONSTRAINT pk_attributes PRIMARY KEY (id);
ALTER TABLE ONLY public.attributes
    ADD CONSTRAINT uq_attributes_object_name UNIQUE (object, name);
ALTER TABLE ONLY public.attributes
    ADD CONSTRAINT fk_attributes_object_object FOREIGN KEY (object) REFERENCES public.object(id) ON DELETE CASCADE;
CREATE INDEX ix_attributes_value ON public.attributes USING gin (value jsonb_path_ops);

-- table link
CREATE TABLE public.link (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    parent uuid NOT NULL,
    child uuid NOT NULL,
    parent_type uuid NOT NULL,
    child_type uuid NOT NULL,
    r_name character varying(100) NOT NULL,
    CONSTRAINT ck_link_not_to_itself CHECK ((parent <> child)),
    CONSTRAINT ck_link_r_name_not_empty CHECK (((r_name)::text <> ''::text))
);
ALTER TABLE ONLY public.link
    ADD CONSTRAINT pk_link PRIMARY KEY (id);
ALTER TABLE ONLY public.link
    ADD CONSTRAINT uq_link_parent_child_r_name UNIQUE (parent, child, r_name);
ALTER TABLE ONLY public.link
    ADD CONSTRAINT fk_link_child_object FOREIGN KEY (child) REFERENCES public.object(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.link
    ADD CONSTRAINT fk_link_child_type_type FOREIGN KEY (child_type) REFERENCES public.type(id);
ALTER TABLE ONLY public.link
    ADD CONSTRAINT fk_link_parent_object FOREIGN KEY (parent) REFERENCES public.object(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.link
    ADD CONSTRAINT fk_link_parent_type_type FOREIGN KEY (parent_type) REFERENCES public.type(id);
CREATE INDEX ix_link_child ON public.link USING btree (child);

-- table permissions
CREATE TABLE public.permissions (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    object uuid NOT NULL,
    "user" character varying(100) NOT NULL,
    permission_level public.permission_level DEFAULT 'read'::public.permission_level NOT NULL,
    CONSTRAINT ck_permissions_user_not_empty CHECK ((("user")::text <> ''::text))
);
ALTER TABLE ONLY public.permissions
    ADD CONSTRAINT pk_permissions PRIMARY KEY (id);
ALTER TABLE ONLY public.permissions
    ADD CONSTRAINT uq_permissions_object_user UNIQUE (object, "user");
ALTER TABLE ONLY public.permissions
    ADD CONSTRAINT fk_permissions_object_object FOREIGN KEY (object) REFERENCES public.object(id) ON DELETE CASCADE;
CREATE INDEX ix_permissions_admin ON public.permissions USING btree (object) WHERE (permission_level = 'admin'::public.permission_level);

-- table versioning
CREATE TABLE public.versioning (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    object uuid NOT NULL,
    version integer NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ck_versioning_created_at_range CHECK (((EXTRACT(year FROM (created_at AT TIME ZONE 'UTC'::text)) >= (1)::numeric) AND (EXTRACT(year FROM (created_at AT TIME ZONE 'UTC'::text)) <= (9999)::numeric)))
);
ALTER TABLE ONLY public.versioning
    ADD CONSTRAINT pk_versioning PRIMARY KEY (id);
ALTER TABLE ONLY public.versioning
    ADD CONSTRAINT uq_versioning_object_version UNIQUE (object, version);
ALTER TABLE ONLY public.versioning
    ADD CONSTRAINT fk_versioning_object_object FOREIGN KEY (object) REFERENCES public.object(id) ON DELETE CASCADE;

-- table alembic_version
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);

INSERT INTO public.alembic_version (version_num) VALUES ('013');
